from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    AppendOnlyError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ReferencedError,
    TenantMismatchError,
)
from agentdb.models import (
    ActivityEvent,
    BillingPlan,
    Container,
    ConversationSummary,
    TenantAccount,
)
from agentdb.testing import capture_statements
from tests.repository.test_reads import plan, stored
from tests.rows import Rows, row_of, rows_of


async def test_a_row_is_stored_with_its_defaults(system: UnitOfWork) -> None:
    """Add returns the same object, with its key and the defaults of its columns."""
    row = plan("a")
    before = datetime.now(UTC)

    assert row is await system.billing_plans.add(row)
    assert [row] == await system.billing_plans.all()
    assert (row.is_active, row.interval, row.interval_count) == (True, "monthly", 1)
    assert before - timedelta(minutes=1) <= row.created_at <= datetime.now(UTC)


@pytest.mark.parametrize("count", [1, 2, 500])
async def test_many_rows_take_few_statements(
    agentdb_database: Database, system: UnitOfWork, parents: Rows, count: int
) -> None:
    """One INSERT stores hundreds of rows, with keys of ours and with keys of the database."""
    ours = [row_of("containers", f"c{n}", parents) for n in range(count)]
    drawn = [row_of("conversation_summaries", f"s{n}", parents) for n in range(count)]
    with capture_statements(agentdb_database) as sent:
        await system.containers.add_many(ours)
        await system.conversation_summaries.add_many(drawn)

    assert [
        " ".join(statement.split()[:3]) for statement in sent if statement.startswith("INSERT")
    ] == ["INSERT INTO containers", "INSERT INTO conversation_summaries"]
    assert len(sent) < 8
    assert count + 1 == await system.containers.count()
    numbers = [row.id for row in drawn]
    assert sorted(set(numbers)) == numbers
    written = select(ConversationSummary.id, ConversationSummary.summary_text)
    found = {row.id: row.summary_text for row in await system.session.execute(written)}
    assert {row.id: row.summary_text for row in drawn}.items() <= found.items()


async def test_the_statements_of_a_tenants_unit_do_not_grow_with_the_rows(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_tenant: TenantAccount
) -> None:
    """The owners and references of all rows are checked together."""
    counts: list[int] = []
    for size in (2, 400):
        rows = [ActivityEvent(tenant_id=agentdb_tenant.id, action=f"act-{n}") for n in range(size)]
        with capture_statements(agentdb_database) as sent:
            await agentdb_uow.activity_events.add_many(rows)
        counts.append(len(sent))

    assert counts[0] == counts[1]
    assert await agentdb_uow.activity_events.count() == 402


async def test_nothing_to_add_is_nothing_done(
    agentdb_database: Database, system: UnitOfWork
) -> None:
    """An empty batch sends no INSERT."""
    with capture_statements(agentdb_database) as sent:
        await system.billing_plans.add_many([])

    assert not [statement for statement in sent if statement.startswith("INSERT")]


async def test_a_batch_is_stored_whole_or_not_at_all(system: UnitOfWork) -> None:
    """One bad row undoes its batch, earlier work stays, and a good batch passes afterwards."""
    await stored(system, "before")
    rows = [plan("a"), plan("b"), plan("before")]
    with pytest.raises(DuplicateError) as caught:
        await system.billing_plans.add_many(rows)

    assert caught.value.constraint == "uq_billing_plans_code"
    assert await system.billing_plans.count() == 1
    await system.billing_plans.add_many(rows[:2])
    assert await system.billing_plans.count() == 3


async def test_only_rows_of_the_table_are_added(system: UnitOfWork) -> None:
    """A row of another class is refused before SQL."""
    wrong: Any = TenantAccount(slug="s", name="n")

    with pytest.raises(InvalidValueError, match="BillingPlan"):
        await system.billing_plans.add(wrong)
    with pytest.raises(InvalidValueError, match="BillingPlan"):
        await system.billing_plans.add_many([plan("a"), wrong])
    assert not await system.billing_plans.exists()


async def test_a_key_that_the_unit_has_loaded_is_taken(system: UnitOfWork) -> None:
    """The same error as from the database, and the loaded row stays as it is."""
    (row,) = await stored(system, "a")

    with pytest.raises(DuplicateError) as caught:
        await system.billing_plans.add(_same_key(row))
    assert caught.value.constraint == "pk_billing_plans"
    assert (await system.billing_plans.require(row.id)).code == "a"


def _same_key(row: BillingPlan) -> BillingPlan:
    other = plan("b")
    other.id = row.id
    return other


async def test_columns_are_set_by_key(system: UnitOfWork) -> None:
    """Update returns the row, up to date; what is not given stays, None is NULL."""
    (row,) = await stored(system, "a", trial_days=14)
    written = row.updated_at

    assert row is await system.billing_plans.update(row.id, name="New", trial_days=None)
    assert (row.name, row.trial_days, row.code) == ("New", None, "a")
    assert written <= row.updated_at
    assert row is await system.billing_plans.update(row.id)


async def test_an_update_finds_its_row_or_says_so(system: UnitOfWork) -> None:
    """An unknown key is a NotFoundError, with values and without."""
    with pytest.raises(NotFoundError):
        await system.billing_plans.update(uuid4(), name="x")
    with pytest.raises(NotFoundError):
        await system.billing_plans.update(uuid4())


async def test_an_update_refuses_what_it_cannot_set(system: UnitOfWork, parents: Rows) -> None:
    """Unknown columns, keys, owners, taken keys and missing parents raise; nothing changes."""
    row: Container = parents["containers"]
    taken = await system.containers.add(row_of("containers", "taken", parents))

    with pytest.raises(InvalidValueError, match="no_such_column"):
        await system.containers.update(row.id, no_such_column=1)
    with pytest.raises(InvalidValueError, match="key"):
        await system.containers.update(row.id, id=uuid4())
    with pytest.raises(TenantMismatchError):
        await system.containers.update(row.id, tenant_id=uuid4())
    with pytest.raises(DuplicateError) as caught:
        await system.containers.update(row.id, openai_id=taken.openai_id)
    with pytest.raises(NotFoundError):
        await system.containers.update(row.id, owner_user_id=uuid4())
    with pytest.raises(InvalidValueError):
        await system.containers.update(row.id, name=None)

    assert caught.value.constraint == "uq_containers_openai_id"
    assert row is await system.containers.update(row.id, name="free")


async def test_a_deleted_row_is_gone(system: UnitOfWork) -> None:
    """Delete says whether there was one; the key can be used again."""
    (row,) = await stored(system, "a")

    assert await system.billing_plans.delete(row.id) is True
    assert await system.billing_plans.delete(row.id) is False
    assert await system.billing_plans.get(row.id) is None
    await system.billing_plans.add(_same_key(row))


async def test_a_row_in_use_is_not_deleted(system: UnitOfWork, parents: Rows) -> None:
    """A plan with a subscription stays, and so does the unit."""
    with pytest.raises(ReferencedError):
        await system.billing_plans.delete(parents["billing_plans"].id)

    assert await system.billing_plans.get(parents["billing_plans"].id) is not None
    await stored(system, "after")


async def test_what_cascades_goes_with_its_parent(system: UnitOfWork, parents: Rows) -> None:
    """Deleting a conversation deletes its messages, which the unit no longer finds."""
    assert await system.agent_messages.exists()
    assert await system.agent_conversations.delete(parents["agent_conversations"].id)
    assert not await system.agent_messages.exists()
    assert await system.agent_messages.get(parents["agent_messages"].id) is None


LOGS = [
    "activity_events",
    "agent_run_usage",
    "password_history",
    "security_events",
    "user_login_events",
]


@pytest.mark.parametrize("table", LOGS)
async def test_a_log_is_added_to_and_purged(
    agentdb_database: Database, system: UnitOfWork, parents: Rows, table: str
) -> None:
    """``update`` and ``upsert`` of a log are refused without SQL; rows are added and deleted."""
    log = getattr(system, table)
    row = await log.add(row_of(table, "second", parents))
    with capture_statements(agentdb_database) as sent:
        with pytest.raises(AppendOnlyError, match=table):
            await log.update(row.id)
        with pytest.raises(AppendOnlyError, match=table):
            await log.upsert({}, ["id"])

    assert sent == []
    assert await log.delete(row.id)


async def test_ordered_rows_are_written_by_their_verbs(
    agentdb_database: Database, system: UnitOfWork
) -> None:
    """The generic verbs name the one that keeps positions and stamps right, and send no SQL."""
    row = row_of("agent_messages", "second", rows_of("never stored"))
    with capture_statements(agentdb_database) as sent:
        for call in (
            system.agent_messages.add(row),
            system.agent_messages.add_many([row]),
            system.agent_messages.update(1, role="user"),
            system.agent_messages.delete(1),
            system.agent_messages.upsert({}, ["id"]),
        ):
            with pytest.raises(PermissionDeniedError, match="append"):
                await call

    assert sent == []


async def test_people_and_tenants_are_deleted_by_operations(
    system: UnitOfWork, parents: Rows
) -> None:
    """Deleting their rows alone is refused, whoever asks, and names the operation."""
    with pytest.raises(ReferencedError, match="delete_user"):
        await system.users.delete(parents["users"].id)
    with pytest.raises(ReferencedError, match="erase_tenant"):
        await system.tenant_accounts.delete(parents["tenant_accounts"].id)


async def test_a_tenants_unit_writes_its_own_rows_alone(
    agentdb_uow: UnitOfWork, agentdb_database: Database
) -> None:
    """Rows that name another tenant are refused, shared and system tables are read at the most."""
    with pytest.raises(TenantMismatchError):
        await agentdb_uow.activity_events.add(ActivityEvent(tenant_id=uuid4(), action="act"))
    with capture_statements(agentdb_database) as sent:
        with pytest.raises(PermissionDeniedError):
            await agentdb_uow.billing_plans.add(plan("a"))
        with pytest.raises(PermissionDeniedError):
            await agentdb_uow.billing_plans.upsert({"code": "a"}, ["code"])
        with pytest.raises(PermissionDeniedError):
            await agentdb_uow.billing_plans.delete(uuid4())

    assert sent == []
    assert await agentdb_uow.billing_plans.all() == []


async def test_rows_that_were_never_flushed_are_found(system: UnitOfWork) -> None:
    """What a host has added to the session is stored before anything is read."""
    system.session.add(plan("pending"))

    assert await system.billing_plans.exists(BillingPlan.code == "pending")
    await system.session.execute(insert(BillingPlan), [_values("bulk")])
    assert await system.billing_plans.count() == 2


def _values(code: str) -> dict[str, Any]:
    return {"code": code, "name": code, "price_cents": 1, "currency": "EUR"}
