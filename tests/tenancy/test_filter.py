"""Whatever statement a tenant's unit sends, it neither shows nor changes a row of another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import Delete, Update
from sqlalchemy.exc import SQLAlchemyError

from agentdb.database import Database
from agentdb.errors import AgentDBError
from agentdb.testing.shown import shown
from agentdb.unit_of_work import UnitOfWork
from tests.tenancy.compositions import reads, writes
from tests.tenancy.shapes import READS, WRITES, Shape
from tests.tenancy.worlds import World, foreign_changes, leaks, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
cartesian = pytest.mark.filterwarnings(
    "ignore:(SELECT|UPDATE|DELETE) statement has a cartesian product"
)


async def fetched(unit: UnitOfWork, statement: Any) -> object:
    """Run a statement and return what its caller gets."""
    result: Any = await unit.session.execute(statement)
    if isinstance(statement, Update | Delete) and not list(statement.exported_columns):
        return result.rowcount
    return result.unique().all()


async def outcome(unit: UnitOfWork, statement: Any) -> object:
    """Return what a statement shows; the refusal where it is refused."""
    try:
        async with unit.session.begin_nested():
            return await fetched(unit, statement)
    except (AgentDBError, SQLAlchemyError, NotImplementedError) as error:
        return type(error)


async def check(
    statement: Any, world: World, database: Database, database_alone: Database, *, writes: bool
) -> None:
    """Assert that a statement of beta does and shows what it would if beta were alone."""
    own = world.beta["tenant_accounts"].id
    async with unit_of(database_alone, tenant=own) as unit:
        expected = await outcome(unit, statement)
    async with unit_of(database, tenant=own) as unit:
        found = await outcome(unit, statement)
        changes = await foreign_changes(world, unit) if writes else []

    assert leaks(world, found) == []
    assert sorted(shown(expected)) == sorted(shown(found))
    assert changes == []


@cartesian
@pytest.mark.parametrize("shape", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_a_statement_of_any_shape_stays_with_its_tenant(
    world: World, database: Database, database_alone: Database, shape: Shape
) -> None:
    """It is refused, or it does and shows exactly what it would if there were no other tenant."""
    foreign = world.alpha["agent_conversations"].id
    await check(shape(foreign), world, database, database_alone, writes=shape in WRITES.values())


@cartesian
@settings(max_examples=80, deadline=None)
@given(statement=reads())
async def test_a_composed_select_stays_with_its_tenant(
    world: World, database: Database, database_alone: Database, statement: Any
) -> None:
    """However classes, tables, aliases and subqueries are combined, no foreign row is shown."""
    await check(statement, world, database, database_alone, writes=False)


@cartesian
@settings(max_examples=50, deadline=None)
@given(statement=writes())
async def test_a_composed_write_stays_with_its_tenant(
    world: World, database: Database, database_alone: Database, statement: Any
) -> None:
    """However its condition and its values are made, no foreign row is read or changed."""
    await check(statement, world, database, database_alone, writes=True)


def add_nothing(*_: object) -> None:
    """Stand in for the filter and filter nothing."""


async def test_the_tests_find_a_leak_where_there_is_one(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the filter, both checks above report what gets through."""
    monkeypatch.setattr("agentdb.tenancy.filter._add_criteria", add_nothing)
    foreign, own = world.alpha["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=own) as unit:
        found = await outcome(unit, READS["class"](foreign))
        await fetched(unit, WRITES["update by foreign key"](foreign))
        changes = await foreign_changes(world, unit)

    assert "alpha" in leaks(world, found)
    assert [f"agent_conversations {(foreign,)}"] == changes
