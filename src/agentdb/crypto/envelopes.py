"""How a ciphertext is stored: the id of its key stands before the token.

``agentdb:1:<key id>:<Fernet token>``, all of it ASCII: the schema has no column for the id of a
key. What does not begin so was encrypted by the host itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agentdb.errors import DecryptionError

KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
"""What a key may be called: a digest with its key id in front fits a column of 128 characters."""

_ENVELOPE = re.compile(rb"agentdb:1:([A-Za-z0-9._-]{1,32}):(.+)", re.DOTALL)


class Envelope(NamedTuple):
    """A stored value, taken apart.

    Attributes:
        key_id: The id of the key that made it.
        token: What that key opens.
    """

    key_id: str
    token: bytes


def wrap(envelope: Envelope) -> bytes:
    """Return an envelope as it is stored."""
    return b"agentdb:1:%s:%s" % (envelope.key_id.encode("ascii"), envelope.token)


def unwrap(stored: bytes) -> Envelope:
    """Take a stored value apart; nothing is known yet of the token.

    Raises:
        DecryptionError: It is no envelope (``foreign``).
    """
    found = _ENVELOPE.fullmatch(stored)
    if found is None:
        raise DecryptionError("the value was not encrypted by agentdb", reason="foreign")
    return Envelope(found[1].decode("ascii"), found[2])
