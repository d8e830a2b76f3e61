"""An export takes constant memory, and an erasure finds its rows by indexes."""

from __future__ import annotations

import tracemalloc
from uuid import uuid4

import pytest
from sqlalchemy import Connection, delete, insert, select

from agentdb import Database
from agentdb.models import ActivityEvent
from agentdb.operations import export_tenant
from agentdb.operations.tenant_data.erasing import first_rows
from agentdb.operations.tenant_data.exporting import FETCHED
from agentdb.operations.tenant_data.tables import ORDER, erased_rows, table_named
from agentdb.tenancy.predicates import table_of
from agentdb.testing import Factory
from agentdb.testing.factories.columns import EPOCH
from agentdb.testing.plans import assert_plan_scans_nothing

ERASED = [name for name in ORDER if erased_rows(name, uuid4()) is not None]


async def exported_bytes(db: Database, factory: Factory, connection: Connection, more: int) -> int:
    """Return the most memory that an export holds, after *more* rows were stored."""
    tenant = factory.tenant.id
    rows = [
        {
            "id": uuid4(),
            "tenant_id": tenant,
            "action": "a",
            "created_at": EPOCH,
            "status": "success",
        }
        for _ in range(more)
    ]
    connection.execute(insert(table_of(ActivityEvent)), rows)
    connection.commit()
    tracemalloc.start()
    try:
        async for _ in export_tenant(db, tenant):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_an_export_takes_constant_memory(
    agentdb_database: Database, agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """Ten times as many rows take no more memory, and less than the rows themselves would."""
    args = (agentdb_database, agentdb_make, agentdb_sync_connection)
    await exported_bytes(*args, 1)  # what is cached for good
    few = await exported_bytes(*args, 10 * FETCHED)
    many = await exported_bytes(*args, 90 * FETCHED)
    assert many < few * 1.5


@pytest.mark.agentdb_plans
@pytest.mark.parametrize("name", ERASED)
async def test_rows_to_erase_are_found_by_an_index(agentdb_database: Database, name: str) -> None:
    """Counted, deleted at once or a batch at a time: no table is read from end to end."""
    where = erased_rows(name, uuid4())
    assert where is not None
    table = table_named(name)
    statements = [
        select(table.primary_key.columns[0]).where(where).limit(5),
        delete(table).where(where),
        delete(table).where(first_rows(name, where, 5)),
    ]
    async with agentdb_database.begin_system(reason="test") as uow:
        for statement in statements:
            await assert_plan_scans_nothing(uow, statement)
