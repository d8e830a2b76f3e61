"""What an export of a tenant has in it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection

from agentdb import Database
from agentdb.errors import NotFoundError
from agentdb.operations.tenant_data import export_tenant
from agentdb.operations.tenant_data.tables import LEFT_OUT, ORDER
from agentdb.testing.two_tenants import PARTIES, labels_beside
from tests.operations.tenant_data.worlds import exported, store_one, store_two
from tests.rows import MODELS


async def test_every_table_is_exported_parents_first(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """A tenant with a row in every table has one in every table of its export, in their order."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    rows = await exported(agentdb_database, tenant)
    assert [table for table, _ in rows] == list(ORDER)
    assert {table for table, _ in rows} == MODELS.keys() - LEFT_OUT


async def test_nothing_of_another_tenant_is_exported(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """No value stems from another tenant, not even from what its members do there."""
    one, _ = store_two(agentdb_sync_connection)
    shown = str(await exported(agentdb_database, one["tenant_accounts"].id))
    assert not [label for label in labels_beside(PARTIES[0]) if label in shown]


async def test_an_unknown_tenant_is_not_exported(agentdb_database: Database) -> None:
    """There is nothing to export of a tenant that does not exist."""
    with pytest.raises(NotFoundError):
        await anext(export_tenant(agentdb_database, uuid4()))
