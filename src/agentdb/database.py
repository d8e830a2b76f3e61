"""The database: where units of work begin, commit and are tried again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar
from uuid import UUID

from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncEngine

from agentdb.commits import to_the_end
from agentdb.driver_errors import may_pass
from agentdb.errors import (
    CommitUnknownError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.ledger.tailing import Tailing
from agentdb.lookups import LookUpUnit
from agentdb.pooled_unit import PooledUnit
from agentdb.pools import Pools
from agentdb.settings import Settings
from agentdb.single_unit import SingleUnit
from agentdb.tenancy import Scope
from agentdb.unit import Clock
from agentdb.unit_of_work import UnitOfWork
from agentdb.urls import (
    async_url,
    is_memory,
    platform_url_from_environment,
    schema_from_environment,
    url_from_environment,
)
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
        platform_url: str | URL | None = None,
        schema: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare the engine.

        Args:
            url: ``postgresql://…`` or ``sqlite:///…``, with or without our driver.
            platform_url: The same database by a role that row-level security does not bind, for
                units of the system, on PostgreSQL; None where one role does everything.
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
        self._pools = Pools(self.url, platform_url, self.settings, schema)

    @classmethod
    def from_env(cls, *, settings: Settings | None = None) -> Self:
        """Return the database of ``AGENTDB_DATABASE_URL``, else ``agentdb.sqlite3`` here.

        ``AGENTDB_SCHEMA`` names its schema, if it is set, and ``AGENTDB_PLATFORM_DATABASE_URL`` is
        its *platform_url*.

        Raises:
            ConfigurationError: As of `Database`.
        """
        return cls(
            url_from_environment(),
            platform_url=platform_url_from_environment(),
            schema=schema_from_environment(),
            settings=settings,
        )

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
        return self._pools.main

    @property
    def platform_engine(self) -> AsyncEngine | None:
        """The engine of units of the system, where it is another."""
        return self._pools.platform

    def begin(
        self, *, tenant: UUID, single: bool = False
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work of one tenant.

        The transaction commits when the block ends and rolls back when it raises. COMMIT is
        shielded from cancellation: once sent, its outcome is known before the cancellation goes on.

        A *single* unit is for one verb, and over with it. Where a verb knows its last statements
        before it sends them, COMMIT goes with them, in one round trip, and what it has locked is
        free at once; when it has returned, it is committed, whatever the block does then. They are
        ``append`` of messages, ``increment``, and ``claim``, ``heartbeat``, ``complete``, ``fail``
        and ``cancel`` of runs. After them the unit refuses all else, and does not store what the
        host changes in what they returned. One that is cancelled meanwhile may have been committed.
        All other verbs commit at the end of the block.

        Raises:
            UnavailableError: The database cannot be reached or has no connection left.
            CommitUnknownError: The connection was lost while COMMIT was under way; of a single unit
                the verb raises it.
            PermissionDeniedError: A single unit is used after its verb.
        """
        return self._unit(tenant=tenant, single=single)

    def begin_system(
        self, *, reason: str, single: bool = False
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work that reaches across tenants; the reason is logged.

        It runs as the role of *platform_url*, if there is one; *single* as of `begin`.

        Raises:
            PermissionDeniedError: Row-level security binds the role: it would see nothing. On a
                connection that has served the system before, the first statement raises it.
            UnavailableError: As of `begin`.
            CommitUnknownError: As of `begin`.
        """
        return self._unit(system=reason, single=single)

    def read(
        self, *, tenant: UUID | None = None, reason: str | None = None
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work that sees one snapshot and writes nothing.

        It never waits for writers: REPEATABLE READ and READ ONLY on PostgreSQL, a deferred
        transaction with ``query_only`` on SQLite.

        Args:
            tenant: Whose data; None with *reason* for a system unit.
            reason: Why it reaches across tenants.
        """
        return self._unit(tenant=tenant, system=reason, read_only=True)

    @asynccontextmanager
    async def lookup(self, *, reason: str) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit of the system that finds single rows by unique keys; the reason is logged.

        It is for what each request begins with: whose token is it, who has the address. Its verbs
        are ``by_…`` of the repositories, as ``users.by_email``. On PostgreSQL each is one round
        trip, without BEGIN and COMMIT, and so has a snapshot of its own, and no time limit but that
        of the server; one that meets a lost connection is tried once more. On SQLite, and where the
        tables have a schema of their own, it is a unit of `read`.

        A verb that writes, locks or needs a session raises `PermissionDeniedError`, or what else it
        refuses, and changes nothing; one of several statements sees as many snapshots.

        Raises:
            PermissionDeniedError: Nothing was found, and row-level security hides rows.
            UnavailableError: As of `begin`.
        """
        scope = Scope(reason=reason)
        _log.info("system unit of work: %s", reason)
        connection = await self._pools.look(scope)
        unit = LookUpUnit(connection, scope, self._clock, schema=self.schema)
        try:
            yield unit
        finally:
            await unit.close()

    async def run(
        self,
        work: Callable[[UnitOfWork], Awaitable[T]],
        *,
        tenant: UUID | None = None,
        reason: str | None = None,
        settle: Callable[[UnitOfWork], Awaitable[T | None]] | None = None,
        single: bool = False,
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
            single: Whether it runs one verb; see `begin`.

        Raises:
            CommitUnknownError: The outcome is unknown and there is no *settle*.
            AgentDBError: What *work* raised, at once if it cannot pass.
        """
        started = time.monotonic()
        for attempt in range(1, TRIES + 1):
            try:
                async with self._unit(tenant=tenant, system=reason, single=single) as unit:
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
        async with migrate.exclusive(), self.engine.connect() as connection:
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

    async def require_policies(self) -> None:
        """Refuse a database where row-level security does not hold; for the start of a service.

        Raises:
            PermissionDeniedError: A table is without its policies, a view reads past them, they do
                not bind the role that units of tenants run as, or bind the one of the system; the
                message names what.
            ConfigurationError: The database is SQLite, or *platform_url* leads to another one.
            UnavailableError: The database cannot be reached.
        """
        from agentdb import rls  # noqa: PLC0415 -- who has no policies imports none of it

        platform = None if self.platform_engine is None else self.platform_engine.url
        await asyncio.to_thread(rls.require, self.url, platform=platform, schema=self.schema)

    async def _judge(self, judge: Callable[..., Verdict]) -> Verdict:
        if not is_memory(self.url):
            return await asyncio.to_thread(judge, self.url, schema=self.schema)
        async with self.engine.connect() as connection:
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
        connection = await self._pools.begin(Scope(), read_only=True)
        try:
            return (await connection.execute(query)).scalar_one_or_none()
        except SchemaVersionError:
            return None
        finally:
            await to_the_end(connection.close())

    async def dispose(self) -> None:
        """Close all idle connections; the database can be used again afterwards."""
        await self._pools.dispose()

    @asynccontextmanager
    async def _unit(
        self,
        *,
        tenant: UUID | None = None,
        system: str | None = None,
        read_only: bool = False,
        single: bool = False,
    ) -> AsyncGenerator[UnitOfWork]:
        # Refuses what is none before anything connects.
        scope = Scope(tenant=tenant, reason=system)
        if system is not None:
            _log.info("system unit of work: %s", system)
        kind = SingleUnit if single else PooledUnit
        connection = await self._pools.begin(scope, read_only=read_only, single=single)
        unit = kind(connection, scope, self._clock)
        try:
            yield unit
            await unit.finish()
        finally:
            await unit.close()


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 -- jitter
