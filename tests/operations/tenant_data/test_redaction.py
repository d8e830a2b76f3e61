"""What a redacted export does not show."""

from __future__ import annotations

from sqlalchemy import Connection

from agentdb import Database
from tests.operations.tenant_data.worlds import exported, store_one
from tests.rows import MODELS


async def test_secrets_are_replaced(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """By None, or by a marker where None is not allowed; all else is the same."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    plain = await exported(agentdb_database, tenant)
    redacted = await exported(agentdb_database, tenant, redact=True)
    for (table, shown), (_, hidden) in zip(plain, redacted, strict=True):
        secrets = MODELS[table].__secrets__
        for column, value in hidden.items():
            assert (value == shown[column]) == (column not in secrets), (table, column)
