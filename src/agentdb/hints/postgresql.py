"""Hints between processes: NOTIFY after COMMIT and LISTEN, each on a connection of its own.

A COMMIT that carries a NOTIFY takes a lock of the whole server. So the unit of work sends none: a
task sends what was committed meanwhile, each topic once, in a transaction of its own.
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import Any

import psycopg
from sqlalchemy import URL

from agentdb.hints.local import Hints
from agentdb.settings import Settings
from agentdb.urls import sync_url

CHANNEL = "agentdb"
RETRY = 1.0
"""Seconds before a broken connection is made anew; meanwhile waiters poll."""

_log = logging.getLogger(__name__)
_NOTIFY = "SELECT pg_notify(%s, topic) FROM unnest(%s::text[]) AS topic"
_LISTEN = "LISTEN agentdb"


class Notifier:
    """Carries hints to other processes and from them, as long as its event loop runs.

    Its connections, two at the most, are made when they are first needed. What fails is logged and
    tried again; nobody but who waits notices, and only by the time of a poll.
    """

    def __init__(self, url: URL, hints: Hints, settings: Settings) -> None:
        """Take over the hints of an engine; nothing connects yet."""
        target = sync_url(url).set(drivername="postgresql")
        self._url = target.render_as_string(hide_password=False)
        self._hints = hints
        self._timeout = settings.connect_timeout
        self._outgoing: set[str] = set()
        self._more = asyncio.Event()
        self._closing = False
        self._own: int | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pid = os.getpid()
        hints.forward = self._forward
        if settings.pooler is None:
            # A pooler in transaction mode gives the connection away after LISTEN.
            hints.listen = self._listen

    def _forward(self, topic: str) -> None:
        self._outgoing.add(topic)
        if not self._runs("send"):
            self._more = asyncio.Event()  # of this loop
            self._start("send", self._send_on())
        self._more.set()

    def _listen(self) -> None:
        if not self._runs("listen"):
            self._start("listen", self._hear_on())

    def _runs(self, name: str) -> bool:
        """Whether a task runs in this loop of this process."""
        task = self._tasks.get(name)
        if task is None or task.done() or self._pid != os.getpid():
            return False
        return task.get_loop() is asyncio.get_running_loop()

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._pid = os.getpid()
        self._tasks[name] = asyncio.create_task(work, name=f"agentdb-hints-{name}")

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=self._timeout, prepare_threshold=None
        )

    async def _send_on(self) -> None:
        while self._outgoing or not self._closing:
            try:
                async with await self._connect() as connection:
                    self._own = connection.info.backend_pid
                    await self._send(connection)
            except psycopg.Error as error:
                _log.debug("hints were not sent: %s", type(error).__name__)
                await asyncio.sleep(RETRY)

    async def _send(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while self._outgoing or not self._closing:
            # What is committed while a batch is under way goes with the next.
            topics, self._outgoing = sorted(self._outgoing), set[str]()
            if topics:
                try:
                    await connection.execute(_NOTIFY, [CHANNEL, topics])
                except psycopg.Error:
                    self._outgoing.update(topics)
                    raise
            elif not self._closing:
                self._more.clear()
                await self._more.wait()

    async def _hear_on(self) -> None:
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(_LISTEN)
                    self._hints.wake_all()  # of what was committed before
                    async for notice in connection.notifies():
                        if notice.pid != self._own:
                            self._hints.wake(notice.payload)
            except psycopg.Error as error:
                _log.debug("hints are not heard: %s", type(error).__name__)
            await asyncio.sleep(RETRY)

    async def close(self) -> None:
        """Send what is left, for a second at the most, and close the connections."""
        loop = asyncio.get_running_loop()
        tasks = {name: t for name, t in self._tasks.items() if t.get_loop() is loop}
        self._tasks.clear()
        if "send" in tasks:
            self._closing = True
            self._more.set()
            await asyncio.wait([tasks["send"]], timeout=1)
            self._closing = False
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
