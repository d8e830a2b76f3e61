"""The database: where units of work begin, commit and are tried again."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from sqlalchemy import URL, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agentdb.commits import commit, to_the_end
from agentdb.driver_errors import READ_ONLY_OPTION, may_pass, orm_errors
from agentdb.engines import make_async_engine
from agentdb.errors import (
    CommitUnknownError,
    ConfigurationError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.hints import carry_hints
from agentdb.ledger.tailing import Tailing
from agentdb.postgresql import TENANT_OPTION
from agentdb.settings import Settings
from agentdb.tenancy import Scope
from agentdb.unit import Clock
from agentdb.unit_of_work import UnitOfWork
from agentdb.urls import async_url, is_memory, schema_from_environment, url_from_environment
from agentdb.version import version_table
from agentdb.worker.claiming import Claiming

if TYPE_CHECKING:
    # Annotations alone: who only works with the tables imports no migrations.
    from agentdb.migrate import Limits, Progress, Verdict

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


class Database(Tailing, Claiming):
    """One database and the pool of its connections.

    Make it once for a process and share it between tasks of one event loop. Nothing connects before
    the first unit of work, and nothing is migrated unless asked.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        schema: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare the engine.

        Args:
            url: ``postgresql://…`` or ``sqlite:///…``, with or without our driver.
            schema: Schema of a PostgreSQL database that holds all of agentdb's tables, apart from
                those of other schemas; None for the first one of the search path.
            settings: Limits and time-outs.
            clock: Replaces the clock of all units of work, for tests.

        Raises:
            ConfigurationError: The URL, its driver or the schema cannot be used; SQLite has none.
        """
        self.url = async_url(url)
        self.schema = schema
        self.settings = settings or Settings()
        self._clock = clock
        self._engine = make_async_engine(self.url, self.settings, schema=schema)
        self._notifier = carry_hints(self._engine.sync_engine, self.url, self.settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        _databases.add(self)

    @classmethod
    def from_env(cls, *, settings: Settings | None = None) -> Self:
        """Return the database of ``AGENTDB_DATABASE_URL``, else ``agentdb.sqlite3`` here.

        ``AGENTDB_SCHEMA`` names its schema, if it is set.

        Raises:
            ConfigurationError: As of `Database`.
        """
        return cls(url_from_environment(), schema=schema_from_environment(), settings=settings)

    def __repr__(self) -> str:
        schema = "" if self.schema is None else f" schema={self.schema!r}"
        return f"<Database {self.url.render_as_string(hide_password=True)}{schema}>"

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

    async def upgrade(
        self,
        revision: str = "head",
        *,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Bring the schema up to *revision*; does nothing when it is there already.

        Safe when many replicas start at once: one applies the revisions, the others wait and find
        nothing left to do. Works inside a running event loop. A schema of the database that does
        not exist is made.

        Args:
            revision: A revision, a version of the package, or ``head``.
            limits: How long to wait and work; None for the defaults of `agentdb.migrate.Limits`.
            progress: Is told what is waited for and what was applied, from another thread.

        Raises:
            SchemaVersionError: The database is at a revision that this release does not know, or
                has tables of the same names that are not managed by it.
            PermissionDeniedError: The role lacks a right; the message names it.
            DeadlineError: Another process still migrated when the patience ended.
            UnavailableError: The database cannot be reached.
        """
        from agentdb import migrate  # noqa: PLC0415 -- Alembic takes half a second to import

        bounds = limits or migrate.Limits()
        if not is_memory(self.url):
            await asyncio.to_thread(
                migrate.upgrade,
                self.url,
                revision,
                schema=self.schema,
                limits=bounds,
                progress=progress,
            )
            return
        async with migrate.exclusive(), self._engine.connect() as connection:
            await connection.run_sync(
                migrate.upgrade_connection, revision, limits=bounds, progress=progress
            )

    async def verdict(self) -> Verdict:
        """Tell what the schema is to this release: current, behind, ahead, …; changes nothing.

        Raises:
            UnavailableError: The database cannot be reached.
        """
        from agentdb import migrate  # noqa: PLC0415 -- who needs no verdict imports none of it

        return await self._judge(migrate.verdict)

    async def require_current(self) -> Verdict:
        """Refuse a schema that this release cannot work with; for the start of a service.

        Nothing is migrated.

        Raises:
            SchemaVersionError: It is behind, foreign, unmanaged, or ahead by a revision that takes
                away what this release uses.
            UnavailableError: The database cannot be reached.
        """
        from agentdb import migrate  # noqa: PLC0415 -- who needs no verdict imports none of it

        return await self._judge(migrate.require_current)

    async def _judge(self, judge: Callable[..., Verdict]) -> Verdict:
        if not is_memory(self.url):
            return await asyncio.to_thread(judge, self.url, schema=self.schema)
        async with self._engine.connect() as connection:
            return await connection.run_sync(judge)

    async def health(self) -> Health:
        """Ask the database for an answer; never raises for one that is not there."""
        started = time.monotonic()
        try:
            revision = await self._revision()
        except UnavailableError:
            return Health(reachable=False, revision=None, latency=time.monotonic() - started)
        return Health(reachable=True, revision=revision, latency=time.monotonic() - started)

    async def _revision(self) -> str | None:
        query = select(version_table.c.version_num)
        async with self._connected(read_only=True) as session:
            try:
                return (await session.execute(query)).scalar_one_or_none()
            except SchemaVersionError:
                return None

    async def dispose(self) -> None:
        """Close all idle connections; the database can be used again afterwards."""
        if self._notifier is not None:
            await self._notifier.close()
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
            await to_the_end(commit(session))

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
            await to_the_end(session.close())

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


_databases: WeakSet[Database] = WeakSet()


def _after_fork() -> None:
    """Give the child pools of its own; the parent's connections stay the parent's."""
    for database in list(_databases):
        database.engine.sync_engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
