"""As much of PostgreSQL's protocol as a fault proxy needs to know where an answer stands."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

_HEAD = Struct("!ci")


class Message(NamedTuple):
    """One message of the server.

    Attributes:
        kind: Its letter, ``b"C"`` for CommandComplete and so on:
            https://www.postgresql.org/docs/current/protocol-message-formats.html.
        body: What follows its length.
    """

    kind: bytes
    body: bytes

    @property
    def is_commit(self) -> bool:
        """Whether it says that a COMMIT is done."""
        return self == (b"C", b"COMMIT\0")

    def encoded(self) -> bytes:
        """Return it as it is sent."""
        return _HEAD.pack(self.kind, len(self.body) + 4) + self.body


class MessageReader:
    """Cuts what a server sends into messages; the connection must not be encrypted."""

    def __init__(self) -> None:
        """Stand at the beginning of a connection."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that *data* completes."""
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._rest)
            end = length + 1
            if len(self._rest) < end:
                return
            message = Message(kind, self._rest[_HEAD.size : end])
            self._rest = self._rest[end:]
            yield message
