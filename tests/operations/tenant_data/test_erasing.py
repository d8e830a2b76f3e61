"""What is left when a tenant was erased."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection

from agentdb import Database
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.operations.tenant_data import erase_tenant
from tests.operations.tenant_data.worlds import exported, rows_in, store_one, store_two, traces

batches = pytest.mark.parametrize("batch", [1, 7, 5000])


@batches
@pytest.mark.parametrize("delete_orphan_users", [False, True])
async def test_nothing_is_left_of_a_tenant_and_the_dry_run_told_it(
    agentdb_database: Database,
    agentdb_sync_connection: Connection,
    batch: int,
    *,
    delete_orphan_users: bool,
) -> None:
    """The dry run counts what the run then deletes: every row that holds the id of the tenant."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    before = rows_in(agentdb_sync_connection)
    told = await erase_tenant(
        agentdb_database, tenant, dry_run=True, delete_orphan_users=delete_orphan_users
    )
    assert rows_in(agentdb_sync_connection) == before
    counts = await erase_tenant(
        agentdb_database, tenant, batch=batch, delete_orphan_users=delete_orphan_users
    )
    assert counts == told
    assert len(before) - len(rows_in(agentdb_sync_connection)) == sum(counts.values())
    assert not traces(agentdb_sync_connection, tenant)
    with pytest.raises(NotFoundError):
        await erase_tenant(agentdb_database, tenant)


@pytest.mark.parametrize("delete_orphan_users", [False, True])
async def test_other_tenants_stay_as_they_were(
    agentdb_database: Database,
    agentdb_sync_connection: Connection,
    *,
    delete_orphan_users: bool,
) -> None:
    """No row of another tenant, of its people or of nobody is changed."""
    one, other = store_two(agentdb_sync_connection)
    before = await exported(agentdb_database, other["tenant_accounts"].id)
    stored = rows_in(agentdb_sync_connection)
    counts = await erase_tenant(
        agentdb_database,
        one["tenant_accounts"].id,
        batch=3,
        delete_orphan_users=delete_orphan_users,
    )
    assert "users" not in counts  # its only member is one of the other tenant too
    assert await exported(agentdb_database, other["tenant_accounts"].id) == before
    left = rows_in(agentdb_sync_connection)
    assert left.items() <= stored.items()
    assert len(stored) - len(left) == sum(counts.values())
    assert not traces(agentdb_sync_connection, one["tenant_accounts"].id)


async def test_an_unknown_tenant_is_not_erased(agentdb_database: Database) -> None:
    """There is nothing to erase of a tenant that does not exist, on a dry run either."""
    for dry_run in (True, False):
        with pytest.raises(NotFoundError):
            await erase_tenant(agentdb_database, uuid4(), dry_run=dry_run)


@pytest.mark.parametrize("batch", [0, -1, True])
async def test_a_batch_is_a_number_of_rows(agentdb_database: Database, batch: int) -> None:
    """Zero rows at a time would never end."""
    with pytest.raises(InvalidValueError):
        await erase_tenant(agentdb_database, uuid4(), batch=batch)
