"""An export comes back as it was, whatever database it goes through, or not at all."""

from __future__ import annotations

import io
from uuid import UUID

import pytest
from sqlalchemy import Connection

from agentdb import Database
from agentdb.billing.models import BillingPlan
from agentdb.errors import DuplicateError, InvalidValueError, NotFoundError
from agentdb.operations.tenant_data import erase_tenant, import_tenant, write_export
from agentdb.operations.tenant_data.tables import ORDER
from agentdb.tenants.models import TenantAccount
from agentdb.testing.two_tenants import shared_rows
from tests.operations.tenant_data.worlds import (
    Exported,
    converse,
    exported,
    numberless,
    rows_in,
    store_one,
    store_two,
)


async def file_of(db: Database, tenant: UUID, *, redact: bool = False) -> list[str]:
    """Return the lines of an export."""
    file = io.StringIO()
    await write_export(db, tenant, file, redact=redact)
    return file.getvalue().splitlines(keepends=True)


async def store_plans(db: Database) -> None:
    """Store the plan that tenants subscribe to, as another database has it."""
    code: str = shared_rows()["billing_plans"].code
    async with db.begin_system(reason="plans") as uow:
        await uow.billing_plans.add(BillingPlan(code=code, name="its own", price_cents=2000))


def without_plans(rows: Exported) -> Exported:
    """Return an export without what stays the other database's own."""
    kept = [(table, row) for table, row in rows if table != "billing_plans"]
    return [(table, {k: v for k, v in row.items() if k != "plan_id"}) for table, row in kept]


async def test_what_was_erased_can_be_imported_again(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """Export, erase and import leave each row as it was, but for the numbers of rows."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    await converse(agentdb_database, tenant)
    before = await exported(agentdb_database, tenant)
    lines = await file_of(agentdb_database, tenant)
    await erase_tenant(agentdb_database, tenant, delete_orphan_users=True)
    imported = await import_tenant(agentdb_database, lines)
    assert imported.tenant_id == tenant
    assert sum(imported.counts.values()) == len(before)
    assert numberless(await exported(agentdb_database, tenant)) == numberless(before)


async def test_a_tenant_moves_between_all_databases(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """From either kind to either kind, to one with plans of its own, it stays what it was."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    conversation = await converse(agentdb_database, tenant)
    before = await exported(agentdb_database, tenant)
    await store_plans(elsewhere)
    await import_tenant(elsewhere, await file_of(agentdb_database, tenant))
    after = await exported(elsewhere, tenant)
    assert {table for table, _ in after} == set(ORDER)
    assert without_plans(numberless(after)) == without_plans(numberless(before))
    assert await shown(elsewhere, tenant, conversation) == await shown(
        agentdb_database, tenant, conversation
    )


async def shown(db: Database, tenant: UUID, conversation: UUID) -> list[object]:
    """Return what readers see of a conversation."""
    async with db.read(tenant=tenant) as uow:
        said = await uow.agent_messages.transcript(conversation, limit=500)
        frames = await uow.conversation_ledger_events.replay(conversation, limit=1000)
        return [
            [(row.position, row.content) for row in said.items],
            [(frame.stream_id, frame.event_id, frame.payload) for frame in frames.items],
        ]


async def test_an_imported_conversation_goes_on(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """The next plain insert works in every table that numbers its rows."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    conversation = await converse(agentdb_database, tenant)
    await store_plans(elsewhere)
    await import_tenant(elsewhere, await file_of(agentdb_database, tenant))
    await converse(elsewhere, tenant)
    async with elsewhere.begin(tenant=tenant) as uow:
        await uow.conversation_run_queue_items.enqueue(conversation, {"next": True})


async def test_an_import_leaves_other_tenants_as_they_are(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """The tenants that a database holds stay what they were, each by its own people."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    await store_plans(elsewhere)
    lines = await file_of(agentdb_database, tenant)
    async with elsewhere.begin_system(reason="test") as uow:
        neighbour = await uow.tenant_accounts.add(TenantAccount(slug="next", name="Next"))
    await converse(elsewhere, neighbour.id)
    before = await exported(elsewhere, neighbour.id)
    await import_tenant(elsewhere, lines)
    assert await exported(elsewhere, neighbour.id) == before


async def test_a_second_import_is_refused_and_changes_nothing(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """A tenant that is there already is not merged with its export."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    lines = await file_of(agentdb_database, tenant)
    before = rows_in(agentdb_sync_connection)
    with pytest.raises(DuplicateError, match="tenant_accounts"):
        await import_tenant(agentdb_database, lines)
    assert rows_in(agentdb_sync_connection) == before


async def test_a_member_who_is_there_already_is_refused(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """By id or by address: nobody can tell from a file that the two are one person."""
    one, _ = store_two(agentdb_sync_connection)
    tenant = one["tenant_accounts"].id
    lines = await file_of(agentdb_database, tenant)
    await erase_tenant(agentdb_database, tenant)
    before = rows_in(agentdb_sync_connection)
    with pytest.raises(DuplicateError, match="users"):
        await import_tenant(agentdb_database, lines)
    assert rows_in(agentdb_sync_connection) == before


async def test_a_plan_that_is_missing_is_refused(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """Plans are the operator's: an import finds them by code and makes none."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    with pytest.raises(NotFoundError, match="plan"):
        await import_tenant(elsewhere, await file_of(agentdb_database, tenant))


async def test_a_redacted_export_is_refused(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """Its secrets are missing: nobody could log in."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    lines = await file_of(agentdb_database, tenant, redact=True)
    with pytest.raises(InvalidValueError, match="redacted"):
        await import_tenant(agentdb_database, lines)
