"""The database: where units of work begin, commit and are tried again."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from sqlalchemy import URL, String, column, select, table
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agentdb.driver_errors import READ_ONLY_OPTION, may_pass, orm_errors
from agentdb.engines import TENANT_OPTION, make_async_engine
from agentdb.errors import (
    CommitUnknownError,
    ConfigurationError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.settings import Settings
from agentdb.tenancy import Scope
from agentdb.unit import Clock
from agentdb.unit_of_work import UnitOfWork
from agentdb.urls import async_url, is_memory, url_from_environment
from agentdb.version import VERSION_TABLE

T = TypeVar("T")

_log = logging.getLogger(__name__)

TRIES = 5
PATIENCE = 2.0
"""Seconds after which `Database.run` no longer tries again."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `Database.health` found.

    Attributes:
        reachable: Whether a statement was answered.
        revision: The revision of the schema; None without one.
        latency: Seconds that the answer took.
    """

    reachable: bool
    revision: str | None
    latency: float


class Database:
    """One database and the pool of its connections.

    Make it once for a process and share it between tasks of one event loop. Nothing connects before
    the first unit of work, and nothing is migrated unless asked.
    """

    def __init__(
        self, url: str | URL, *, settings: Settings | None = None, clock: Clock | None = None
    ) -> None:
        """Prepare the engine.

        Args:
            url: ``postgresql://…`` or ``sqlite:///…``, with or without our driver.
            settings: Limits and time-outs.
            clock: Replaces the clock of all units of work, for tests.

        Raises:
            ConfigurationError: The URL or its driver cannot be used.
        """
        self.url = async_url(url)
        self.settings = settings or Settings()
        self._clock = clock
        self._engine = make_async_engine(self.url, self.settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        _databases.add(self)

    @classmethod
    def from_env(cls, *, settings: Settings | None = None) -> Self:
        """Return the database of ``AGENTDB_DATABASE_URL``, else ``agentdb.sqlite3`` here."""
        return cls(url_from_environment(), settings=settings)

    def __repr__(self) -> str:
        return f"<Database {self.url.render_as_string(hide_password=True)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose()

    @property
    def engine(self) -> AsyncEngine:
        """The engine, configured; for a host that makes sessions of its own."""
        return self._engine

    @asynccontextmanager
    async def begin(self, *, tenant: UUID) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit of work of one tenant.

        The transaction commits when the block ends and rolls back when it raises. COMMIT is
        shielded from cancellation: once sent, its outcome is known before the cancellation goes on.

        Raises:
            UnavailableError: The database cannot be reached or has no connection left.
            CommitUnknownError: The connection was lost while COMMIT was under way.
        """
        async with self._unit(tenant=tenant) as unit:
            yield unit

    @asynccontextmanager
    async def begin_system(self, *, reason: str) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit of work that reaches across tenants; the reason is logged."""
        async with self._unit(system=reason) as unit:
            yield unit

    @asynccontextmanager
    async def read(
        self, *, tenant: UUID | None = None, reason: str | None = None
    ) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit of work that sees one snapshot and writes nothing.

        It never waits for writers: REPEATABLE READ and READ ONLY on PostgreSQL, a deferred
        transaction with ``query_only`` on SQLite.

        Args:
            tenant: Whose data; None with *reason* for a system unit.
            reason: Why it reaches across tenants.
        """
        async with self._unit(tenant=tenant, system=reason, read_only=True) as unit:
            yield unit

    async def run(
        self,
        work: Callable[[UnitOfWork], Awaitable[T]],
        *,
        tenant: UUID | None = None,
        reason: str | None = None,
        settle: Callable[[UnitOfWork], Awaitable[T | None]] | None = None,
    ) -> T:
        """Run *work* in a unit of work, the whole unit again after a passing failure.

        Deadlocks, serialisation failures, lock time-outs, a busy database and a connection lost
        before COMMIT are tried again, 5 times or for 2 seconds, whichever ends first. *work* may so
        run several times, and commits once.

        Args:
            work: The unit; its result is returned.
            tenant: Whose unit it is.
            reason: Why it is a system unit.
            settle: Tells in a unit of its own, by an idempotency key of the work, what an unknown
                COMMIT did: the result, or None if nothing was committed.

        Raises:
            CommitUnknownError: The outcome is unknown and there is no *settle*.
            AgentDBError: What *work* raised, at once if it cannot pass.
        """
        started = time.monotonic()
        for attempt in range(1, TRIES + 1):
            try:
                async with self._unit(tenant=tenant, system=reason) as unit:
                    return await work(unit)
            except (TransientError, UnavailableError) as error:
                lasts = isinstance(error, UnavailableError) and not may_pass(error)
                if lasts or attempt == TRIES or time.monotonic() - started > PATIENCE:
                    raise
            except CommitUnknownError as unknown:
                if settle is None:
                    raise
                settled = await self._settle(settle, unknown, tenant, reason)
                if settled is not None:
                    return settled
                if attempt == TRIES:
                    raise
            await _pause(attempt)
        raise AssertionError  # the last attempt returned or raised

    async def _settle(
        self,
        settle: Callable[[UnitOfWork], Awaitable[T | None]],
        unknown: CommitUnknownError,
        tenant: UUID | None,
        reason: str | None,
    ) -> T | None:
        """Ask what a COMMIT did; without an answer it stays unknown, and must not be repeated."""
        for attempt in range(1, TRIES + 1):
            try:
                async with self._unit(tenant=tenant, system=reason) as unit:
                    return await settle(unit)
            except (TransientError, UnavailableError, CommitUnknownError):
                if attempt < TRIES:
                    await _pause(attempt)
        raise unknown

    async def upgrade(self, revision: str = "head") -> None:
        """Bring the schema up to *revision*; does nothing when it is there already.

        Safe when many replicas start at once: one applies the revisions, the others wait and find
        nothing left to do. All or nothing. Works inside a running event loop.

        Raises:
            SchemaVersionError: The database is at a revision that this release does not know, or
                has tables of the same names that are not managed by it.
        """
        from agentdb import migrate  # noqa: PLC0415 -- Alembic takes half a second to import

        if not is_memory(self.url):
            await asyncio.to_thread(migrate.upgrade, self.url, revision)
            return
        async with migrate.exclusive(), self._engine.connect() as connection:
            await connection.run_sync(migrate.upgrade_connection, revision)

    async def health(self) -> Health:
        """Ask the database for an answer; never raises for one that is not there."""
        started = time.monotonic()
        try:
            revision = await self._revision()
        except UnavailableError:
            return Health(reachable=False, revision=None, latency=time.monotonic() - started)
        return Health(reachable=True, revision=revision, latency=time.monotonic() - started)

    async def _revision(self) -> str | None:
        query = select(column("version_num", String)).select_from(table(VERSION_TABLE))
        async with self._connected(read_only=True) as session:
            try:
                return (await session.execute(query)).scalar_one_or_none()
            except SchemaVersionError:
                return None

    async def dispose(self) -> None:
        """Close all idle connections; the database can be used again afterwards."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _unit(
        self, *, tenant: UUID | None = None, system: str | None = None, read_only: bool = False
    ) -> AsyncGenerator[UnitOfWork]:
        Scope(tenant=tenant, reason=system)  # refuses what is none before anything connects
        if system is not None:
            _log.info("system unit of work: %s", system)
        async with self._connected(tenant=tenant, read_only=read_only) as session:
            unit = UnitOfWork(session, tenant=tenant, system=system, clock=self._clock)
            yield unit
            with orm_errors():
                await session.flush()
            # A cancellation that is already waiting is heard before COMMIT, not after it.
            await asyncio.sleep(0)
            await _to_the_end(_commit(session))

    @asynccontextmanager
    async def _connected(
        self, *, tenant: UUID | None = None, read_only: bool = False
    ) -> AsyncGenerator[AsyncSession]:
        """Yield a session whose transaction has begun; it is rolled back unless committed."""
        options = {READ_ONLY_OPTION: read_only, TENANT_OPTION: tenant}
        session = await self._connect(options)
        try:
            yield session
        finally:
            # Rolls back what is not committed; a broken connection is thrown away.
            await _to_the_end(session.close())

    async def _connect(self, options: dict[str, Any]) -> AsyncSession:
        """Begin a transaction; a pooled connection that turns out broken is replaced once."""
        await self._follow_loop()
        for last in (False, True):
            session = AsyncSession(self._engine, expire_on_commit=False)
            try:
                await session.connection(execution_options=options)
            except PoolTimeoutError as error:
                raise UnavailableError("no connection became free in time") from error
            except UnavailableError as error:
                if last or not error.lost:
                    raise
            else:
                return session
        raise AssertionError  # the last try returned or raised

    async def _follow_loop(self) -> None:
        """Leave the connections of an event loop that has ended; refuse a second that runs."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and self._loop.is_running() and self._pid == os.getpid():
            raise ConfigurationError("a Database serves one event loop: make one for each")
        known, self._loop, self._pid = self._loop, loop, os.getpid()
        if known is not None and not is_memory(self.url):
            await self._engine.dispose()


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 -- jitter


async def _commit(session: AsyncSession) -> None:
    try:
        with orm_errors():
            await session.commit()
    except UnavailableError as error:
        raise CommitUnknownError("the connection was lost while COMMIT was under way") from error


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* to its end even if this task is cancelled, which is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


_databases: WeakSet[Database] = WeakSet()


def _after_fork() -> None:
    """Give the child pools of its own; the parent's connections stay the parent's."""
    for database in list(_databases):
        database.engine.sync_engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
