"""The keys of a host, and what it does with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Self, TypeAlias
from uuid import UUID

from sqlalchemy.orm import InstrumentedAttribute

from agentdb.crypto.columns import purpose_of
from agentdb.crypto.envelopes import Envelope, unwrap, wrap
from agentdb.crypto.keys import Key, read_keys
from agentdb.digests import bytes_of, token_digest
from agentdb.errors import ConfigurationError, DecryptionError

ENCRYPTION_KEYS = "AGENTDB_ENCRYPTION_KEYS"
"""The environment variable of the keys: ``id:base64key,…``, the primary one first."""

EncryptedAttribute: TypeAlias = InstrumentedAttribute[bytes | None] | InstrumentedAttribute[bytes]
DigestAttribute: TypeAlias = InstrumentedAttribute[str | None] | InstrumentedAttribute[str]


class KeyRing:
    """Encrypts what the ``*_encrypted`` columns hold, and digests what the ``*_hash`` ones do.

    The first key, the primary one, makes ciphertexts and digests; all of them open ciphertexts.
    Nothing is used but keys that HKDF (RFC 5869) derives from them, another for each column: a
    value that was moved to another column, or to the row of another owner, is not opened there.
    Ciphertexts are Fernet tokens (https://github.com/fernet/spec) behind the id of their key.

    Needs the extra ``crypto``.
    """

    __slots__ = ("_ciphers", "_keys", "_primary")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take keys by their ids, the primary one first.

        Args:
            keys: 32 random bytes each; an id has 1 to 32 letters, digits, dots, dashes and
                underscores.

        Raises:
            ConfigurationError: There is no key, an id or a key is not as it has to be, or the extra
                is not installed.
        """
        self._ciphers = _load_ciphers()
        made = (Key(key_id, secret) for key_id, secret in keys.items())
        self._keys = {key.id: key for key in made}
        if not self._keys:
            raise ConfigurationError("a key ring has at least one key")
        self._primary = next(iter(self._keys.values()))

    @classmethod
    def from_env(cls, variable: str = ENCRYPTION_KEYS) -> Self:
        """Read the keys from an environment variable: ``id:base64key,…``, the primary one first.

        Raises:
            ConfigurationError: It is not set, not of that form, or names an id twice. The message
                does not show what it holds.
        """
        if not os.environ.get(variable):
            raise ConfigurationError(f"{variable} is not set")
        keys = read_keys(os.environ[variable])
        if keys is None:
            raise ConfigurationError(f"{variable} does not hold id:base64key,… of 32 bytes each")
        if len({key.id for key in keys}) < len(keys):
            raise ConfigurationError(f"{variable} names a key twice")
        return cls({key.id: key.secret for key in keys})

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the primary one first."""
        return tuple(self._keys)

    def encrypt(
        self, secret: bytes | str, column: EncryptedAttribute, *, owner: UUID | None
    ) -> bytes:
        """Return what the column stores for a secret; different each time.

        Args:
            secret: Text is taken as UTF-8.
            column: Where it will be stored, as ``UserMfaMethod.secret_encrypted``.
            owner: Whose it is: the value of the column that `ENCRYPTED` names for it.

        Raises:
            InvalidValueError: The text has a lone surrogate.
        """
        token: bytes = self._ciphers.seal(
            self._primary, purpose_of(column), owner, bytes_of(secret)
        )
        return wrap(Envelope(self._primary.id, token))

    def decrypt(self, stored: bytes, column: EncryptedAttribute, *, owner: UUID | None) -> bytes:
        """Return the secret of a stored value.

        Raises:
            DecryptionError: No key of the ring opens it in this place; the reason says more.
        """
        key, token = self._opener(stored)
        secret: bytes = self._ciphers.unseal(key, purpose_of(column), owner, token)
        return secret

    def rotate(self, stored: bytes, column: EncryptedAttribute, *, owner: UUID | None) -> bytes:
        """Return the same secret under the primary key; under it already, the value as it is.

        Raises:
            DecryptionError: As `decrypt`, for a value under another key.
        """
        key, token = self._opener(stored)
        if key is self._primary:
            return stored
        fresh: bytes = self._ciphers.reseal(key, self._primary, purpose_of(column), owner, token)
        return wrap(Envelope(self._primary.id, fresh))

    def digest(self, secret: bytes | str, column: DigestAttribute) -> str:
        """Return what a ``*_hash`` column stores: the key id, a colon, 64 hex digits.

        HMAC-SHA-256 over all bytes, under a key of the column's own. As `token_digest`, meant for
        secrets that cannot be guessed.

        Raises:
            InvalidValueError: The text has a lone surrogate.
        """
        return self._digest(self._primary, secret, column)

    def digests(self, secret: bytes | str, column: DigestAttribute) -> tuple[str, ...]:
        """Return the digest under each key, the primary one first: under which one is stored?

        Raises:
            InvalidValueError: The text has a lone surrogate.
        """
        return tuple(self._digest(key, secret, column) for key in self._keys.values())

    def _digest(self, key: Key, secret: bytes | str, column: InstrumentedAttribute[Any]) -> str:
        own: bytes = self._ciphers.digest_key(key, purpose_of(column))
        return f"{key.id}:{token_digest(secret, own)}"

    def _opener(self, stored: bytes) -> tuple[Key, bytes]:
        key_id, token = unwrap(stored)
        key = self._keys.get(key_id)
        if key is None:
            raise DecryptionError("the key of the value is not in the ring", reason="unknown_key")
        return key, token

    def __repr__(self) -> str:
        """Show the ids alone."""
        return f"<KeyRing {', '.join(self._keys)}>"

    def __reduce__(self) -> Any:
        """Refuse to be written down."""
        raise TypeError("a key ring is not pickled: it would carry its keys away")


def _load_ciphers() -> ModuleType:
    try:
        from agentdb.crypto import ciphers  # noqa: PLC0415 -- needs the extra
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "cryptography":
            raise
        raise ConfigurationError("encryption needs an extra: install agentdb[crypto]") from None
    return ciphers
