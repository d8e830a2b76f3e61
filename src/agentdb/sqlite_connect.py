"""Connections to SQLite: few calls of their threads, writers in their order, nothing left behind.

A call in the thread of a connection costs two switches of threads, more than most statements.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import aiosqlite
from aiosqlite.context import contextmanager
from typing_extensions import override

from agentdb.errors import TransientError

T = TypeVar("T")

AHEAD = 1000
"""Rows that a cursor fetches together with its statement: a page, and the most of a stream."""


class _Turn(asyncio.Lock):
    """The turn of one writer.

    Attributes:
        waiting: How many wait for it, and come before who asks now.
    """

    waiting = 0


class WriteQueue:
    """Lets the writers of one engine to the write lock in the order in which they came.

    SQLite has no queue: who finds the lock taken asks again after longer and longer pauses, so that
    many writers sleep most of the time (https://www.sqlite.org/c3ref/busy_timeout.html). Those of
    other processes and engines are met at the lock itself.
    """

    def __init__(self, patience: float) -> None:
        """Let nobody wait for more than *patience* seconds."""
        self._patience = patience
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()

    async def wait(self) -> asyncio.Lock:
        """Return the turn, to be released after the transaction.

        Raises:
            TransientError: It did not come in time.
        """
        turn = self._turns.setdefault(asyncio.get_running_loop(), _Turn())
        if turn.waiting or turn.locked():
            await self._wait_for(turn)
        else:
            await turn.acquire()  # at once: a time-out costs more
        return turn

    async def _wait_for(self, turn: _Turn) -> None:
        turn.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await turn.acquire()
        except TimeoutError:
            raise TransientError("the database is busy") from None
        finally:
            turn.waiting -= 1

    async def connect(self, database: str, **options: Any) -> SqliteConnection:
        """Return a connection; where there is none, wait for its thread and close what it opened.

        aiosqlite answers from a thread. After a refused connection the thread would answer once
        more, to an event loop that may be closed by then, and print a traceback; what it opened for
        a task that was cancelled meanwhile nobody else would close.
        """
        opened: list[sqlite3.Connection] = []

        def connector() -> sqlite3.Connection:
            arguments: dict[str, Any] = {**options, "check_same_thread": False}
            opened.append(sqlite3.connect(database, **arguments))
            return opened[0]

        connection = SqliteConnection(connector, self)
        # Private, and what SQLAlchemy's dialect marks in the same way.
        thread = connection._thread  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        thread.daemon = True
        try:
            await connection
        except BaseException:
            await asyncio.to_thread(thread.join)
            for unused in opened:
                unused.close()
            raise
        return connection


class SqliteConnection(aiosqlite.Connection):
    """A connection whose transactions take few calls of its thread.

    One that only reads begins with its first statement: nothing is seen before. ``query_only`` ends
    with it. Where nothing was begun there is nothing to roll back.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection], queue: WriteQueue) -> None:
        """Prepare to connect; its writing transactions wait in *queue*."""
        super().__init__(connector, iter_chunk_size=64)
        self._queue = queue
        self._turn: asyncio.Lock | None = None
        self._opening: tuple[str, ...] = ()
        self._reading = False
        self._queues = False
        self._failed = False

    @property
    @override
    def in_transaction(self) -> bool:
        return bool(self._opening) or super().in_transaction

    def begin_reading(self) -> None:
        """Begin a transaction that cannot write, with the next statement."""
        self._opening = ("PRAGMA query_only = ON", "BEGIN")
        self._reading = True

    def begin_writing(self) -> None:
        """Let the next statement, BEGIN IMMEDIATE, wait for the other writers of the engine."""
        self._queues = True

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        """Make a cursor, which needs no call."""
        return SqliteCursor(self, self._conn.cursor())

    @override
    async def commit(self) -> None:
        await self._end(self._conn.commit)

    @override
    async def rollback(self) -> None:
        await self._end(self._conn.rollback)

    @override
    async def close(self) -> None:
        self._opening = ()
        turn, self._turn = self._turn, None  # kept until the connection is closed
        try:
            await super().close()
        finally:
            self._turn = turn
            self._leave()

    @override
    def stop(self) -> asyncio.Future[Any] | None:
        base: Any = super()  # which leaves open what the future is of
        try:
            stopped: asyncio.Future[Any] | None = base.stop()
            return stopped
        finally:
            self._leave()

    async def _end(self, end: Callable[[], None]) -> None:
        unsent, self._opening = self._opening, ()
        began = self._failed or self._reading or self.in_transaction
        if began and not unsent:
            await self._execute(self._run_end, end)
        # One that was never begun has no turn to wait for any more.
        self._failed = self._reading = self._queues = False
        self._leave()

    def _run_end(self, end: Callable[[], None]) -> None:
        end()
        if self._reading:
            self._conn.execute("PRAGMA query_only = OFF")

    def _leave(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    @override
    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        opening, self._opening = self._opening, ()
        call = partial(self._open, opening, fn) if opening else fn
        base: Any = super()  # without types
        try:
            if self._queues:
                self._queues = False
                self._turn = await self._queue.wait()
            found: T = await base._execute(call, *args, **kwargs)  # noqa: SLF001 -- overridden here
        except BaseException:
            # Of a task that was cancelled: the thread may be at it still.
            self._failed = True
            raise
        if self._turn is not None and not self._conn.in_transaction:
            self._leave()  # COMMIT went with the statements
        return found

    def _open(self, opening: Iterable[str], fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        for text in opening:
            self._conn.execute(text)
        return fn(*args, **kwargs)


class SqliteCursor(aiosqlite.Cursor):
    """A cursor that has the first rows of a statement as soon as that has run."""

    _ahead: Sequence[Any] = ()
    _more = False

    @override
    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Self:
        connection: Any = self._conn
        await connection._execute(self._run, sql, parameters or ())  # noqa: SLF001 -- as the base
        return self

    def _run(self, sql: str, parameters: Any) -> None:
        self._ahead = self._cursor.execute(sql, parameters).fetchmany(AHEAD)
        self._more = len(self._ahead) == AHEAD

    @override
    async def fetchone(self) -> Any:
        return next(iter(await self.fetchmany(1)), None)

    @override
    async def fetchmany(self, size: int | None = None) -> list[Any]:
        count = self.arraysize if size is None else size
        found, self._ahead = list(self._ahead[:count]), self._ahead[count:]
        if self._more and len(found) < count:
            found += await super().fetchmany(count - len(found))
        return found

    @override
    async def fetchall(self) -> list[Any]:
        found, self._ahead = self._ahead, ()
        return [*found, *await super().fetchall()] if self._more else list(found)

    @override
    async def close(self) -> None:
        # A statement that is at its end has nothing open.
        if self._more:
            await super().close()
