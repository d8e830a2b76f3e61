"""What the tests of tenancy run in: tenants with data, and how a leak between them shows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from agentdb.database import Database
from agentdb.engines import make_sync_engine
from agentdb.orm import Base
from agentdb.settings import Settings
from agentdb.testing.shown import shown
from agentdb.testing.snapshots import Snapshot, differences, snapshot
from agentdb.unit_of_work import UnitOfWork
from tests.rows import (
    Rows,
    attribute_of,
    row_of,
    rows_of,
    store,
    table_of,
    unowned_rows_of,
)

ALPHA, BETA = "alpha", "beta"


@dataclass(frozen=True)
class World:
    """A database in which the tenant beta must notice nothing of the others.

    Attributes:
        url: The database.
        alpha: The other tenant's rows, one in each table.
        beta: The own rows.
        unowned: Rows without a tenant, about people of alpha.
        shared: What alpha has stored about a person of beta, who is a member of both.
        content: All that is stored.
    """

    url: str
    alpha: Rows
    beta: Rows
    unowned: Rows
    shared: Rows
    content: Snapshot

    @property
    def foreign(self) -> list[Base]:
        """All rows that beta must not see."""
        return [*self.alpha.values(), *self.unowned.values(), *self.shared.values()]

    @cached_property
    def marks(self) -> frozenset[str]:
        """Texts that show a foreign row: its label, and the UUIDs that stand in it."""
        named = _uuids(self.foreign) - _uuids(self.beta.values())
        return frozenset(named | {ALPHA, "free", "both"})


def build(url: str, *, alone: bool) -> World:
    """Fill an empty database, the own rows first, so that their numbers are the same if *alone*."""
    alpha, beta = rows_of(ALPHA), rows_of(BETA)
    unowned = unowned_rows_of("free", alpha)
    parents = {**beta, "tenant_accounts": alpha["tenant_accounts"]}
    both = ("tenant_user_memberships", "user_notification_preferences", "user_sessions")
    shared = {name: row_of(name, "both", parents) for name in both}
    others = [*alpha.values(), *unowned.values(), *shared.values()]
    engine = make_sync_engine(url, Settings())
    with Session(engine, expire_on_commit=False) as session:
        store(session, [*beta.values(), *([] if alone else others)])
        session.commit()
        content = snapshot(session.connection())
    engine.dispose()
    return World(url, alpha, beta, unowned, shared, content)


@asynccontextmanager
async def unit_of(
    database: Database, *, tenant: UUID | None = None, system: str | None = None
) -> AsyncGenerator[UnitOfWork]:
    """Yield a unit of work that has begun, and is rolled back in the end."""
    async with AsyncSession(database.engine, expire_on_commit=False) as session:
        await session.connection()
        yield UnitOfWork(session, tenant=tenant, system=system)


@asynccontextmanager
async def beside(
    unit: UnitOfWork, *, tenant: UUID | None = None, system: str | None = None
) -> AsyncGenerator[UnitOfWork]:
    """Yield a unit of another scope in the transaction of *unit*; what it does stays undone."""
    connection = await unit.session.connection()
    async with AsyncSession(
        connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
    ) as session:
        yield UnitOfWork(session, tenant=tenant, system=system)


async def foreign_changes(world: World, unit: UnitOfWork) -> list[str]:
    """Return which foreign rows the transaction of *unit* has changed, and which rows are new.

    They are read by a system unit in the same transaction.
    """
    async with beside(unit, system="compare all tables") as system:
        after = await (await system.session.connection()).run_sync(snapshot)
    own = {(name, _stored_key(row)) for name, row in world.beta.items()}
    return sorted(f"{name} {key}" for name, key in differences(world.content, after) - own)


def _stored_key(row: Base) -> tuple[Any, ...]:
    columns = table_of(type(row)).primary_key.columns
    return tuple(getattr(row, attribute_of(column)) for column in columns)


def leaks(world: World, value: object) -> list[str]:
    """Return the marks of foreign rows that *value* shows."""
    text = shown(value)
    return sorted(mark for mark in world.marks if mark in text)


def _uuids(rows: Iterable[Base]) -> set[str]:
    values = [value for row in rows for value in inspect(row).dict.values()]
    return {str(value) for value in values if isinstance(value, UUID)}
