"""One connection for all engines of a test, whose work is never committed.

The connections of the engines are handles on one connection to the server, which is in one
transaction from first to last. What begins a transaction on a handle sets a savepoint, what commits
it releases the savepoint, so the code under test runs unchanged, commits included, and whatever it
does ends with the rollback. Asynchronous and synchronous handles share the connection: each sees
what the others wrote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import count
from typing import Any, Self
from weakref import WeakSet

import aiosqlite
import psycopg
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from agentdb.engines import make_sync_engine
from agentdb.errors import AgentDBError
from agentdb.openings import open_now
from agentdb.settings import Settings
from agentdb.testing.isolation import Isolation
from agentdb.urls import sync_url

_OVERLAP = (
    "two transactions of the test overlap, and it has one connection: mark it with agentdb_commits"
)


class OverlapError(AgentDBError):
    """Transactions overlap as they only can on connections of their own."""


class Savepoint:
    """The transaction of one handle: a savepoint among those of the connection."""

    _numbers = count(1)

    def __init__(self, joined: JoinedConnection) -> None:
        """Stand by; nothing is sent before `begin`."""
        self._joined = joined
        self._name = ""
        self._settings = ""
        self.merged = self.undone = False

    def begin(self, script: str = "") -> list[str]:
        """Return what stands for *script*: BEGIN with its options, and what follows it."""
        self._name = f"agentdb_{next(self._numbers)}"
        self.merged = self.undone = False
        self._joined.opened.append(self)
        options, _, self._settings = (part.strip() for part in script.partition(";"))
        # A savepoint takes READ ONLY and gives it up at its end; it has the snapshot of the
        # transaction, where nobody else writes.
        read_only = ["SET TRANSACTION READ ONLY"] if "READ ONLY" in options else []
        return [f"SAVEPOINT {self._name}", *read_only, *self.restored()]

    def commit(self) -> list[str]:
        """Return what stands for COMMIT.

        Raises:
            OverlapError: A transaction that was begun before this one rolled it back.
        """
        if self._joined.over:
            return []
        if self.undone:
            self.undone = False
            raise OverlapError(_OVERLAP)
        if self not in self._joined.opened:
            return []
        for other in self._close():
            other.merged = True
        outer = self._joined.opened[-1].restored() if self._joined.opened else []
        return [f"RELEASE SAVEPOINT {self._name}", *outer]

    def rollback(self) -> list[str]:
        """Return what stands for ROLLBACK.

        Raises:
            OverlapError: A transaction that was begun before this one committed it.
        """
        if self._joined.over:
            return []
        if self.merged:
            self.merged = False
            raise OverlapError(_OVERLAP)
        self.undone = False
        if self not in self._joined.opened:
            return []
        for other in self._close():
            other.undone = True
        return [f"ROLLBACK TO SAVEPOINT {self._name}", f"RELEASE SAVEPOINT {self._name}"]

    def restored(self) -> list[str]:
        """Return what sets the options of the transaction again, after one inside it."""
        return [self._settings] if self._settings else []

    def _close(self) -> list[Savepoint]:
        """Take this savepoint off, and return those inside it, which end with it."""
        place = self._joined.opened.index(self)
        inner = self._joined.opened[place + 1 :]
        del self._joined.opened[place:]
        return inner


class JoinedConnection(Isolation):
    """A connection in a transaction that is never committed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.opened: list[Savepoint] = []
        """The savepoints that are set, innermost last."""
        self.over = False
        """Whether the test has ended: handles are only closed, in any order."""

    @override
    def end(self) -> None:
        self.over = True


_joined: WeakSet[Engine] = WeakSet()


def is_joined(engine: Engine) -> bool:
    """Whether all connections of *engine* are handles on one that is never committed."""
    return engine in _joined


def _connect_by(engine: Engine, creator: Callable[..., Any]) -> None:
    _joined.add(engine)

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, ___: object, options: dict[str, Any]) -> None:
        options["async_creator_fn"] = creator


class JoinedPostgres(JoinedConnection):
    """One connection of libpq below handles of both kinds of psycopg."""

    def __init__(self, url: str, *, on_close: Callable[[], None] | None = None) -> None:
        """Connect, and begin the transaction.

        Args:
            url: The database.
            on_close: Deletes it, where it is the test's own; None where others use it too.
        """
        super().__init__(url)
        self.shared = on_close is None
        self._on_close = on_close
        target = sync_url(url).set(drivername="postgresql")
        self._connection = psycopg.connect(
            target.render_as_string(hide_password=False), autocommit=True
        )
        self._connection.execute("BEGIN")

    @override
    def join(self, engine: AsyncEngine) -> None:
        async def connect(*_: object, prepare_threshold: int | None = 5, **__: object) -> Any:
            # The others are options of a connection that is there already.
            handle = _AsyncHandle(self._connection.pgconn, self)
            handle.prepare_threshold = prepare_threshold
            return handle

        _connect_by(engine.sync_engine, connect)
        # What stands for BEGIN is another script: it does not go with the first statement.
        event.listen(engine.sync_engine, "begin", open_now)

    @override
    def sync_engine(self) -> Engine:
        engine = make_sync_engine(self.url, Settings())
        event.listen(engine, "do_connect", lambda *_: _SyncHandle(self._connection.pgconn, self))
        event.listen(engine, "begin", _set_savepoint)
        return engine

    @override
    def close(self) -> None:
        self._connection.close()
        if self._on_close is not None:
            self._on_close()


def is_shared(connection: Connection) -> bool:
    """Whether other tests have worked in the database, whose remains the planner sees."""
    handle = connection.connection.driver_connection
    return isinstance(handle, _AsyncHandle | _SyncHandle) and handle.shared


def _set_savepoint(connection: Connection) -> None:
    handle: Any = connection.connection.driver_connection
    handle.begin()


def _script(statements: list[str]) -> Any:
    """Return one script; psycopg asks for literals, so that nothing comes from outside."""
    return ";".join(statements)


class _AsyncHandle(psycopg.AsyncConnection[Any]):
    """What an asynchronous engine takes for a connection."""

    def __init__(self, pgconn: psycopg.pq.abc.PGconn, joined: JoinedPostgres) -> None:
        super().__init__(pgconn)
        self.shared = joined.shared
        self._savepoint = Savepoint(joined)

    def __del__(self, *_: object) -> None:
        """Keep quiet: the connection is closed by its owner."""

    @override
    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        is_begin = isinstance(query, str) and query.startswith("BEGIN")
        sent: Any = _script(self._savepoint.begin(query)) if is_begin else query
        return await super().execute(sent, *arguments, **options)

    @override
    async def commit(self) -> None:
        await self._send(self._savepoint.commit())

    @override
    async def rollback(self) -> None:
        await self._send(self._savepoint.rollback())

    @override
    async def set_autocommit(self, value: bool) -> None:
        """Ignore it: the transaction is open, so the driver begins none."""

    @override
    async def close(self) -> None:
        await self.rollback()

    async def _send(self, statements: list[str]) -> None:
        if statements:
            await super().execute(_script(statements), prepare=False)


class _SyncHandle(psycopg.Connection[Any]):
    """What a synchronous engine takes for a connection."""

    def __init__(self, pgconn: psycopg.pq.abc.PGconn, joined: JoinedPostgres) -> None:
        super().__init__(pgconn)
        self.shared = joined.shared
        # The names of its prepared statements would be those of the asynchronous handles.
        self.prepare_threshold = None
        self._savepoint = Savepoint(joined)

    def __del__(self, *_: object) -> None:
        """Keep quiet: the connection is closed by its owner."""

    def begin(self) -> None:
        """Set the savepoint."""
        self._send(self._savepoint.begin())

    @override
    def commit(self) -> None:
        self._send(self._savepoint.commit())

    @override
    def rollback(self) -> None:
        self._send(self._savepoint.rollback())

    @override
    def close(self) -> None:
        self.rollback()

    def _send(self, statements: list[str]) -> None:
        if statements:
            self.execute(_script(statements), prepare=False)


class JoinedSqlite(JoinedConnection):
    """One connection to a file of the test's own."""

    def __init__(self, url: str, *, on_close: Callable[[], None]) -> None:
        """Connect, and begin the transaction.

        Args:
            url: The file.
            on_close: Deletes it.
        """
        super().__init__(url)
        self._on_close = on_close
        # Each handle of aiosqlite has a thread; SQLite itself serialises what they do.
        self._connection = sqlite3.connect(
            str(make_url(url).database), isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("BEGIN IMMEDIATE")
        self.functions: dict[tuple[str, int], object] = {}
        """The SQL functions that the connection has, by name and number of arguments."""

    @override
    def join(self, engine: AsyncEngine) -> None:
        def connect(*_: object, **__: object) -> aiosqlite.Connection:
            made: Any = lambda: _SqliteHandle(self._connection, self)  # noqa: E731
            return aiosqlite.Connection(made, iter_chunk_size=64)

        _connect_by(engine.sync_engine, connect)

    @override
    def sync_engine(self) -> Engine:
        engine = make_sync_engine(self.url, Settings())
        event.listen(engine, "do_connect", lambda *_: _SqliteHandle(self._connection, self))
        return engine

    @override
    def close(self) -> None:
        self._connection.close()
        self._on_close()


class _SqliteHandle:
    """What an engine takes for a connection of the module sqlite3."""

    def __init__(self, connection: sqlite3.Connection, joined: JoinedSqlite) -> None:
        self._connection = connection
        self._functions = joined.functions
        self._savepoint = Savepoint(joined)
        self.isolation_level = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> sqlite3.Cursor:
        """Return a cursor that sets a savepoint for BEGIN."""
        return self._connection.cursor(
            lambda connection: _SqliteCursor(connection, self._savepoint)
        )

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        """Make an SQL function, unless another handle has made the same."""
        # SQLite replaces none while a statement of the connection runs.
        if self._functions.get((name, narg)) is not func or func is None:
            self._connection.create_function(name, narg, func, deterministic=deterministic)
            self._functions[name, narg] = func

    def commit(self) -> None:
        """Release the savepoint."""
        self._send(self._savepoint.commit())

    def rollback(self) -> None:
        """Return to the savepoint."""
        self._send(self._savepoint.rollback())

    def close(self) -> None:
        """Leave the connection to its owner."""
        self.rollback()

    def _send(self, statements: list[str]) -> None:
        for statement in statements:
            self._connection.execute(statement)


class _SqliteCursor(sqlite3.Cursor):
    """A cursor on which BEGIN sets a savepoint."""

    def __init__(self, connection: sqlite3.Connection, savepoint: Savepoint) -> None:
        super().__init__(connection)
        self._savepoint = savepoint

    @override
    def execute(self, statement: str, parameters: Any = (), /) -> Self:
        if statement.startswith("BEGIN"):
            (statement,) = self._savepoint.begin()
        if statement.startswith("PRAGMA synchronous"):
            return self  # It cannot be set inside a transaction.
        return super().execute(statement, parameters)
