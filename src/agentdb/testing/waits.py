"""Which of several tasks wait for a lock in the database."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Connection, event
from typing_extensions import override

from agentdb.database import Database
from agentdb.urls import sync_url

Task = asyncio.Future[Any]

_WAITING = """
    SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s) AND cardinality(pg_blocking_pids(pid)) > 0
"""


class LockWatch(ABC):
    """Listens to an engine, and so knows which task uses which connection."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.sync_engine
        self._listeners: dict[str, Callable[..., None]] = {}

    def listen(self, **listeners: Callable[..., None]) -> None:
        """Listen to events of the engine by name."""
        self._listeners |= listeners
        for name, listener in listeners.items():
            event.listen(self._engine, name, listener)

    @abstractmethod
    async def waiting(self, tasks: set[Task]) -> set[Task]:
        """Return which of the tasks wait for a lock at one and the same moment."""

    async def close(self) -> None:
        """Listen no more."""
        for name, listener in self._listeners.items():
            event.remove(self._engine, name, listener)


def watch(database: Database) -> LockWatch:
    """Return the watch for the kind of the database."""
    is_postgresql = database.url.get_backend_name() == "postgresql"
    return _PostgresWatch(database) if is_postgresql else _SqliteWatch(database)


class _PostgresWatch(LockWatch):
    """Asks the server, over a connection of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        target = sync_url(database.url).set(drivername="postgresql")
        self._url = target.render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[tuple[int]] | None = None
        self._processes: dict[Task, int] = {}
        self.listen(before_cursor_execute=self._note)

    def _note(self, connection: Connection, *_: object) -> None:
        driver: Any = connection.connection.driver_connection
        if task := asyncio.current_task():
            self._processes[task] = driver.info.backend_pid

    @override
    async def waiting(self, tasks: set[Task]) -> set[Task]:
        known = {self._processes[task]: task for task in tasks if task in self._processes}
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        rows = await self._connection.execute(_WAITING, [list(known)])
        return {known[process] for (process,) in await rows.fetchall()}

    @override
    async def close(self) -> None:
        await super().close()
        if self._connection is not None:
            await self._connection.close()


class _SqliteWatch(LockWatch):
    """Follows who asks for the write lock and who has it; agentdb takes it with BEGIN IMMEDIATE."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._asking: set[Task] = set()
        self._holders: dict[Connection, Task] = {}
        self.listen(
            before_cursor_execute=self._ask,
            after_cursor_execute=self._take,
            handle_error=self._fail,
            commit=self._give_up,
            rollback=self._give_up,
        )

    def _ask(self, _: Connection, __: object, statement: str, *___: object) -> None:
        if statement == "BEGIN IMMEDIATE" and (task := asyncio.current_task()):
            self._asking.add(task)

    def _take(self, connection: Connection, _: object, statement: str, *__: object) -> None:
        if statement == "BEGIN IMMEDIATE" and (task := asyncio.current_task()):
            self._asking.discard(task)
            self._holders[connection] = task

    def _fail(self, _: object) -> None:
        if task := asyncio.current_task():
            self._asking.discard(task)

    def _give_up(self, connection: Connection) -> None:
        self._holders.pop(connection, None)

    @override
    async def waiting(self, tasks: set[Task]) -> set[Task]:
        held = set(self._holders.values())
        return {task for task in tasks & self._asking if held - {task}}
