"""The connections of a fault proxy, and what happens to their data."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from sqlalchemy import URL

from agentdb.testing.wire import Message, MessageReader

_CHUNK = 65536
_ABORT = struct.pack("ii", 1, 0)
"""Linger for no time: the kernel answers with RST, and throws away what was not sent."""


class Faults:
    """What happens to the data from now on."""

    def __init__(
        self,
        *,
        holds: bool = False,
        refuses: bool = False,
        delay: float = 0.0,
        commits: int = 0,
        bytes_left: int | None = None,
        change: Callable[[Message], Message] | None = None,
    ) -> None:
        """Choose it; by default everything passes.

        Args:
            holds: Whether nothing is delivered until `over` is set.
            refuses: Whether new connections are reset.
            delay: Seconds for which each piece of data is held.
            commits: How many answers to COMMIT are dropped.
            bytes_left: How many bytes of the server are delivered before a connection is cut.
            change: Makes what is delivered of each message of the server.
        """
        self.holds = holds
        self.refuses = refuses
        self.delay = delay
        self.over = asyncio.Event()
        self._commits = commits
        self._left = bytes_left
        self._change = change

    def passed(self, message: Message) -> tuple[bytes, bool]:
        """Return what is delivered of a message, and whether the connection is closed then."""
        if message.is_commit and self._commits:
            self._commits -= 1
            return b"", True
        data = (self._change(message) if self._change else message).encoded()
        if self._left is None or self._left > len(data):
            self._left = None if self._left is None else self._left - len(data)
            return data, False
        kept, self._left = data[: self._left], None
        return kept, True


class Link:
    """A connection of a client, and the one to the server."""

    def __init__(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Take over the connection of the client."""
        self._client = client
        self._answer = answer
        self._server: asyncio.StreamWriter | None = None

    async def run(self, target: URL, faults: Callable[[], Faults]) -> None:
        """Pass data on in both directions until either side ends."""
        try:
            reader, self._server = await _connect(target)
            pumps = [self._requests(self._server, faults), self._replies(reader, faults)]
            tasks = [asyncio.ensure_future(pump) for pump in pumps]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            self.reset()  # The server is away: so is the proxy.
        finally:
            self._close()

    def reset(self) -> None:
        """Break the connection off on both sides."""
        self._answer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _ABORT
        )
        self._answer.transport.abort()
        self._close()

    async def _requests(self, server: asyncio.StreamWriter, faults: Callable[[], Faults]) -> None:
        while data := await self._client.read(_CHUNK):
            await _passage(faults)
            server.write(data)
            await server.drain()

    async def _replies(self, reader: asyncio.StreamReader, faults: Callable[[], Faults]) -> None:
        messages = MessageReader()
        while data := await reader.read(_CHUNK):
            await _passage(faults)
            for message in messages.feed(data):
                passed, ends = faults().passed(message)
                self._answer.write(passed)
                await self._answer.drain()
                if ends:
                    return

    def _close(self) -> None:
        self._answer.close()
        if self._server is not None:
            self._server.close()


async def _passage(faults: Callable[[], Faults]) -> None:
    """Wait as long as data is held back."""
    while (found := faults()).holds:
        await found.over.wait()
    await asyncio.sleep(found.delay)


async def _connect(target: URL) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = str(target.query.get("host", target.host or "127.0.0.1"))
    port = int(str(target.query.get("port", target.port or 5432)))
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)
