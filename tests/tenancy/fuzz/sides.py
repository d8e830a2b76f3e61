"""A transaction in the database that all tenants share, and one where the tenant is alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from agentdb.errors import AgentDBError
from agentdb.sessions import UnitSession
from agentdb.tenancy.binding import SCOPE_OPTION
from agentdb.tenancy.scope import Scope
from agentdb.testing.shown import shown
from agentdb.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Side:
    """A transaction that is rolled back in the end.

    Attributes:
        session: Runs the statements: confined to the tenant beside others, free where it is alone.
        unit: Runs the verbs; confined on both sides.
    """

    session: AsyncSession
    unit: UnitOfWork

    async def connection(self) -> AsyncConnection:
        """Return the connection, for SQL that no session sees."""
        return await self.session.connection()


@dataclass(frozen=True)
class Confinement:
    """How a unit is confined.

    Attributes:
        tenant: Whose unit it is.
        hosted: Whether the session is a host's, and not one that a `Database` makes.
        role: The role that it takes for the transaction, which the policies bind; None to keep it.
        prelude: SQL that is run before that, by a role which nothing binds.
    """

    tenant: UUID
    hosted: bool
    role: str | None
    prelude: Sequence[str]


@asynccontextmanager
async def confined(engine: AsyncEngine, how: Confinement) -> AsyncGenerator[Side]:
    """Begin a unit of a tenant, on an engine of a role that no policy binds."""
    kind = Session if how.hosted else UnitSession
    async with AsyncSession(engine, sync_session_class=kind, expire_on_commit=False) as session:
        options = {} if how.hosted else {SCOPE_OPTION: Scope(tenant=how.tenant)}
        connection = await session.connection(execution_options=options)
        for sql in how.prelude:
            await connection.exec_driver_sql(sql)
        if how.role is not None:
            await connection.exec_driver_sql(f'SET LOCAL ROLE "{how.role}"')
        yield Side(session, UnitOfWork(session, tenant=how.tenant))


@asynccontextmanager
async def free(engine: AsyncEngine, tenant: UUID) -> AsyncGenerator[Side]:
    """Begin a transaction in which only the verbs are confined."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        connection = await session.connection()
        mode: Any = "create_savepoint"
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode=mode
        ) as own:
            yield Side(session, UnitOfWork(own, tenant=tenant))


@dataclass(frozen=True)
class Outcome:
    """What a step led to.

    Attributes:
        told: What its caller learns.
        error: What it raised; None if it returned.
    """

    told: list[str]
    error: Exception | None = None

    def __str__(self) -> str:
        found = self.told if self.error is None else [repr(self.error)]
        return f"{len(found)}: {' | '.join(found)!r}"[:600]


FAILURES = (AgentDBError, SQLAlchemyError, NotImplementedError, psycopg.Error)
"""What a statement may raise."""

Call = Callable[[Side], Awaitable[Any]]


async def outcome_of(call: Call, side: Side, session: AsyncSession, *, keep: bool) -> Outcome:
    """Run a step on one of the sessions; what fails, or is not kept, is undone."""
    # What a step has loaded is not to be found in memory by the next one.
    for some in (side.session, side.unit.session):
        some.expunge_all()
    try:
        async with session.begin_nested() as savepoint:
            told = _told(await call(side))
            if not keep:
                await savepoint.rollback()
    except Exception as error:  # noqa: BLE001 -- whatever it raises is an outcome
        return Outcome([], error)
    return Outcome(told)


def _told(result: Any) -> list[str]:
    """Return a text for each row."""
    some = isinstance(result, list | tuple)
    rows = cast("Iterable[Any]", result if some else [result])
    return [shown(row) for row in rows]
