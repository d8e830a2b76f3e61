"""A proxy before a PostgreSQL server that does to a connection what a network does to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self

from sqlalchemy import URL, make_url

from agentdb.errors import ConfigurationError
from agentdb.testing.links import Faults, Link
from agentdb.testing.wire import Message


class FaultProxy:
    """A TCP proxy on the IPv4 loopback before a PostgreSQL server on TCP or a Unix socket.

    At first it passes everything. Each fault replaces the one before; those that happen once, or a
    number of times, then pass everything again. All methods return at once and may be called from
    any thread: the proxy runs in one of its own, so that blocking code can be tested through it.
    Connections through it are not encrypted.
    """

    def __init__(self, target: str | URL) -> None:
        """Take note of the server; nothing listens before the proxy is entered.

        Raises:
            ConfigurationError: The URL is not of PostgreSQL.
        """
        self._target = make_url(target)
        if self._target.get_backend_name() != "postgresql":
            raise ConfigurationError("a fault proxy stands before PostgreSQL")
        self._faults = Faults()
        self._links: set[Link] = set()
        self._started: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="agentdb-fault-proxy", daemon=True)

    def __repr__(self) -> str:
        return f"<FaultProxy of {self._target.render_as_string(hide_password=True)}>"

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._port = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        """Reset the connections that are open, and stop."""
        if self._stop is not None:
            self._soon(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The URL of the same database through the proxy, with its password."""
        query = {k: v for k, v in self._target.query.items() if k not in {"host", "port"}}
        plain = {**query, "sslmode": "disable", "gssencmode": "disable"}
        here = self._target.set(host="127.0.0.1", port=self._port, query=plain)
        return here.render_as_string(hide_password=False)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def heal(self) -> None:
        """Pass everything again; what a black hole has held back is delivered."""
        self._set(Faults())

    def black_hole(self) -> None:
        """Deliver nothing in either direction, of new connections either, and close nothing."""
        self._set(Faults(holds=True))

    def delay(self, seconds: float) -> None:
        """Hold each piece of data for *seconds*, in both directions."""
        self._set(Faults(delay=seconds))

    def reset(self) -> None:
        """Reset the connections that are open, once; new ones pass."""
        self.heal()
        self._soon(self._reset)

    def refuse(self) -> None:
        """Reset the connections that are open, and each new one, as a server that is away."""
        self._set(Faults(refuses=True))
        self._soon(self._reset)

    def drop_commit_replies(self, times: int = 1) -> None:
        """Close the connection in place of the next answers to COMMIT: the server has committed."""
        self._set(Faults(commits=times))

    def cut_after(self, size: int) -> None:
        """Deliver *size* more bytes of the server, then close the connection they came on, once."""
        self._set(Faults(bytes_left=size))

    def rewrite(self, change: Callable[[Message], Message]) -> None:
        """Replace each message of the server by what *change* makes of it."""
        self._set(Faults(change=change))

    def _set(self, faults: Faults) -> None:
        def replace() -> None:
            before, self._faults = self._faults, faults
            before.over.set()

        self._soon(replace)

    def _soon(self, call: Callable[[], object]) -> None:
        """Have the thread of the proxy run *call*, and wait until it has."""
        done: Future[None] = Future()

        def run() -> None:
            call()
            done.set_result(None)

        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(run)
            done.result()

    def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._reset()

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        link = Link(client, answer)
        self._links.add(link)
        try:
            if self._faults.refuses:
                link.reset()
            else:
                await link.run(self._target, lambda: self._faults)
        finally:
            self._links.discard(link)
