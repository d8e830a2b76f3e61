"""Master keys, as a host keeps them: in an environment variable, outside the database."""

from __future__ import annotations

import secrets
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass, field

from agentdb.crypto.envelopes import KEY_ID
from agentdb.errors import ConfigurationError

KEY_BYTES = 32
"""The length of a master key, and of what is derived from it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A master key with its id.

    Attributes:
        id: 1 to 32 letters, digits, dots, dashes and underscores; no secret.
        secret: 32 random bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what was not made as a key."""
        if not KEY_ID.fullmatch(self.id):
            raise ConfigurationError(
                "a key id has 1 to 32 letters, digits, dots, dashes or underscores"
            )
        if type(self.secret) is not bytes or len(self.secret) != KEY_BYTES:
            raise ConfigurationError(f"the key {self.id} is not {KEY_BYTES} bytes")


def generate_key(key_id: str) -> str:
    """Return a new random key as an entry of ``AGENTDB_ENCRYPTION_KEYS``.

    Args:
        key_id: What to call it; never used for another key, as stored values name it.

    Raises:
        ConfigurationError: It has other than 1 to 32 letters, digits, dots, dashes, underscores.
    """
    key = Key(key_id, secrets.token_bytes(KEY_BYTES))
    return f"{key.id}:{urlsafe_b64encode(key.secret).decode('ascii')}"


def read_keys(entries: str) -> list[Key] | None:
    """Read ``id:base64key,…``, in either alphabet of base64; None for anything else."""
    keys: list[Key] = []
    for entry in entries.split(","):
        key_id, _, text = entry.strip().partition(":")
        try:
            secret = b64decode(text, altchars="-_" if set(text) & {*"-_"} else None, validate=True)
            keys.append(Key(key_id, secret))
        except (Error, ValueError, ConfigurationError):
            # Not raised here, where the variables of the frame hold the keys.
            return None
    return keys
