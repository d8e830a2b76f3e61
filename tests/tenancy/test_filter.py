"""Whatever statement a tenant's unit sends, it neither shows nor changes a row of another."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Delete, Update
from sqlalchemy.exc import SQLAlchemyError

from agentdb.database import Database
from agentdb.errors import AgentDBError, PermissionDeniedError
from agentdb.unit_of_work import UnitOfWork
from tests.tenancy.shapes import READS, WRITES, Shape
from tests.tenancy.worlds import World, foreign_changes, leaks, shown, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def fetched(unit: UnitOfWork, statement: Any) -> object:
    """Run a statement and return what its caller gets."""
    result: Any = await unit.session.execute(statement)
    if isinstance(statement, Update | Delete) and not statement._returning:
        return result.rowcount
    return result.unique().all()


async def outcome(unit: UnitOfWork, statement: Any) -> object:
    """Return what a statement shows; the refusal where it is refused."""
    try:
        async with unit.session.begin_nested():
            return await fetched(unit, statement)
    except (AgentDBError, SQLAlchemyError, NotImplementedError) as error:
        return type(error)


@pytest.mark.filterwarnings("ignore:(SELECT|UPDATE|DELETE) statement has a cartesian product")
@pytest.mark.parametrize("shape", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_a_statement_of_any_shape_stays_with_its_tenant(
    world: World, database: Database, database_alone: Database, shape: Shape
) -> None:
    """It is refused, or it does and shows exactly what it would if there were no other tenant."""
    foreign, own = world.alpha["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database_alone, tenant=own) as unit:
        expected = await outcome(unit, shape(foreign))
    async with unit_of(database, tenant=own) as unit:
        found = await outcome(unit, shape(foreign))
        changes = await foreign_changes(world, unit) if shape in WRITES.values() else []

    assert [] == leaks(world, found)
    assert sorted(shown(expected)) == sorted(shown(found))
    assert [] == changes
