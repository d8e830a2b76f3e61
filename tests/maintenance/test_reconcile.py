from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import true, update

from agentdb import Database, NewMessage
from agentdb.conversations.statements import conversations
from agentdb.maintenance import reconcile
from agentdb.maintenance.reconcile import SWEEPS
from agentdb.maintenance.vanished import VANISHED
from agentdb.maintenance.walked import Walked
from agentdb.maintenance.workflows import runs
from agentdb.models import StorageBucket, WorkflowRun
from agentdb.testing import Factory, run_concurrently
from agentdb.vector_stores.statements import files, stores
from agentdb.workflows.states import steps
from tests.maintenance.reports import found
from tests.plans import plans_of

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


async def miscount(database: Database, conversation: UUID, count: int) -> None:
    """Store a wrong number of messages, as an import might."""
    async with database.begin_system(reason="test") as uow:
        right = update(conversations).where(conversations.c.id == conversation)
        await uow.execute(right.values(message_count=count))


async def test_a_count_below_the_positions_is_reported_and_repaired_on_request(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The count is above the highest position again, and the next append finds its place."""
    wrong = agentdb_make.conversation(key="wrong", messages=3)
    ahead = agentdb_make.conversation(messages=3)
    agentdb_make.conversation()
    await miscount(agentdb_database, wrong.id, 2)
    await miscount(agentdb_database, ahead.id, 9)  # its last messages were purged

    wrong_count = {"message_count": 1}
    assert found(await reconcile(agentdb_database)) == wrong_count
    assert found(await reconcile(agentdb_database, repair=True, dry_run=True)) == wrong_count
    assert found(await reconcile(agentdb_database, repair=True)) == wrong_count
    assert found(await reconcile(agentdb_database, repair=True)) == {}
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        (row,) = await uow.agent_messages.append("wrong", [NewMessage(role="user", content="x")])
        counts = [
            (await uow.agent_conversations.require(key)).message_count
            for key in (wrong.id, ahead.id)
        ]
    assert row.position == 3
    assert counts == [4, 9]


async def test_conversations_are_looked_at_in_batches(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A batch is so many conversations, right ones included; dry run and run agree."""
    for number in range(5):
        conversation = agentdb_make.conversation(messages=1)
        if number in {0, 3, 4}:
            await miscount(agentdb_database, conversation.id, 0)
    dry = await reconcile(agentdb_database, batch=2, max_batches=2)
    some = await reconcile(agentdb_database, repair=True, batch=2, max_batches=2)
    rest = await reconcile(agentdb_database, repair=True, batch=2)

    assert dry == some
    assert (some.done, rest.done) == (False, True)
    assert some.counts["message_count"] + rest.counts["message_count"] == 3


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_locked_conversation_is_not_repaired_meanwhile(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The repair waits for nobody; the next one finds what it left."""
    conversation = agentdb_make.conversation(messages=1)
    await miscount(agentdb_database, conversation.id, 0)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.agent_conversations.require(conversation.id, lock=True)
        skipped = await reconcile(agentdb_database, repair=True)

    assert found(skipped) == {}
    assert found(await reconcile(agentdb_database, repair=True)) == {"message_count": 1}


async def orphan(database: Database, *rows: Any) -> None:
    """Give rows to a tenant that does not exist, as a host might that deletes tenants by SQL."""
    async with database.begin_system(reason="test") as uow:
        for row in rows:
            table: Any = row.__table__
            value = uuid4()
            gone = str(value) if isinstance(row, WorkflowRun) else value
            await uow.execute(update(table).where(table.c.id == row.id).values(tenant_id=gone))


async def left(database: Database) -> dict[str, int]:
    """Return how many rows there are in the tables without a foreign key to tenants."""
    async with database.read(reason="test") as uow:
        counts = {
            sweep.model.__tablename__: await getattr(uow, sweep.model.__tablename__).count()
            for sweep in VANISHED
        }
    return {name: count for name, count in counts.items() if count}


async def test_the_usage_of_a_store_is_that_of_its_files(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Of live ones, each by its usage or else its size, up to 32 bits; deleted stores are left."""
    sizes = [(30, 99), (0, 7), (0, None)]
    usages = (37, 36, 5, 1, 8)
    made = [agentdb_make.vector_store(deleted_at=at) for at in (*[None] * 4, NOW)]
    right, wrong, full, _, deleted = made
    for store in (right, wrong, deleted):
        for usage, size in sizes:
            agentdb_make.vector_store_file(vector_store=store, usage_bytes=usage, size_bytes=size)
        agentdb_make.vector_store_file(vector_store=store, usage_bytes=50, deleted_at=NOW)
    for _ in range(2):
        agentdb_make.vector_store_file(vector_store=full, usage_bytes=1)
    async with agentdb_database.begin_system(reason="test") as uow:
        large = update(files).where(files.c.vector_store_id == full.id)
        await uow.execute(large.values(usage_bytes=2**31 - 1))
        for store, usage in zip(made, usages, strict=True):
            here = update(stores).where(stores.c.id == store.id)
            await uow.execute(here.values(usage_bytes=usage))

    assert found(await reconcile(agentdb_database)) == {"store_usage": 3}
    assert found(await reconcile(agentdb_database, repair=True, batch=1)) == {"store_usage": 3}
    assert found(await reconcile(agentdb_database, repair=True)) == {}
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        keys = [store.id for store in made]
        rows = await uow.vector_stores.get_many(keys, include_deleted=True)
        assert [rows[key].usage_bytes for key in keys] == [37, 37, 2**31 - 1, 0, 8]


async def test_one_default_bucket_is_left(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The newest live one of each tenant; deleted ones do not count."""
    other = agentdb_make.tenant_account()
    for tenant in (agentdb_make.tenant, other):
        for day in range(3):
            at = NOW + day * DAY
            agentdb_make.storage_bucket(tenant=tenant, is_default=True, created_at=at)
        late = NOW + 9 * DAY
        agentdb_make.storage_bucket(
            tenant=tenant, is_default=True, created_at=late, deleted_at=late
        )
    own = agentdb_make.tenant.id

    assert found(await reconcile(agentdb_database)) == {"default_buckets": 4}
    report = await reconcile(agentdb_database, repair=True, tenant_id=own)
    assert found(report) == {"default_buckets": 2}
    assert found(await reconcile(agentdb_database, repair=True, batch=1)) == {"default_buckets": 2}
    assert found(await reconcile(agentdb_database, repair=True)) == {}
    for tenant in (agentdb_make.tenant, other):
        async with agentdb_database.read(tenant=tenant.id) as uow:
            (kept,) = await uow.storage_buckets.all(StorageBucket.is_default == true())
            assert kept.created_at == NOW + 2 * DAY


async def test_rows_of_vanished_tenants_are_deleted_on_request(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Of all tables that no foreign key protects; rows of live tenants, or of none, stay."""
    conversation = agentdb_make.conversation()
    run = agentdb_make.workflow_run()
    gone = agentdb_make.workflow_run()
    agentdb_make.workflow_run_step(workflow_run=run)
    agentdb_make.workflow_run_step(workflow_run=gone)
    lost = agentdb_make.workflow_run_step(workflow_run=gone)
    rows: list[Any] = []
    for _ in range(2):
        rows += [
            agentdb_make.service_account_token(),
            agentdb_make.status_subscription(),
            agentdb_make.conversation_summary(conversation=conversation),
            agentdb_make.agent_run_usage(conversation=conversation),
        ]
    agentdb_make.service_account_token(tenant_id=None)
    agentdb_make.status_subscription(tenant_id=None)
    await orphan(agentdb_database, gone, *rows[:4])
    async with agentdb_database.begin_system(reason="test") as uow:
        moved = update(steps).where(steps.c.id == lost.id).values(workflow_run_id="gone")
        await uow.execute(moved)
    before = await left(agentdb_database)
    dry = await reconcile(agentdb_database)

    assert found(dry) == {
        "service_account_tokens": 1,
        "status_subscriptions": 1,
        "conversation_summaries": 1,
        "agent_run_usage": 1,
        "workflow_runs": 1,
        "workflow_run_steps": 2,
    }
    assert before == await left(agentdb_database)
    assert await reconcile(agentdb_database, repair=True) == dry
    assert await left(agentdb_database) == {
        name: count - found(dry)[name] for name, count in before.items()
    }
    assert found(await reconcile(agentdb_database, repair=True)) == {}


async def test_runs_of_tenants_that_are_no_uuid_are_left_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """So are those whose id is merely written in another way."""
    for text in ("legacy", str(agentdb_make.tenant.id).upper(), "", "0" * 40):
        run = agentdb_make.workflow_run()
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.execute(update(runs).where(runs.c.id == run.id).values(tenant_id=text))

    assert found(await reconcile(agentdb_database, repair=True)) == {}
    assert await left(agentdb_database) == {"workflow_runs": 4}


async def test_a_tenants_look_leaves_the_others_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Rows of vanished tenants are no tenant's: only a look at all finds them."""
    other = agentdb_make.tenant_account()
    for tenant in (agentdb_make.tenant, other):
        conversation = agentdb_make.conversation(tenant=tenant, messages=2)
        await miscount(agentdb_database, conversation.id, 0)
    await orphan(agentdb_database, agentdb_make.service_account_token())
    own = agentdb_make.tenant.id
    report = await reconcile(agentdb_database, tenant_id=own, repair=True)

    assert found(report) == {"message_count": 1}
    rest = {"message_count": 1, "service_account_tokens": 1}
    assert found(await reconcile(agentdb_database)) == rest


@pytest.mark.agentdb_commits
async def test_reconciling_starts_from_a_url_alone(agentdb_url: str, agentdb_make: Factory) -> None:
    """No database object is needed."""
    agentdb_make.storage_bucket(is_default=True)
    agentdb_make.storage_bucket(is_default=True)

    assert found(await reconcile(agentdb_url, repair=True)) == {"default_buckets": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_repairs_share_the_rows(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each row is counted by the one that repaired it, and by nobody else."""
    with agentdb_make.transaction():
        for _ in range(12):
            agentdb_make.storage_bucket(is_default=True)
        tokens = [agentdb_make.service_account_token() for _ in range(12)]
    await orphan(agentdb_database, *tokens)

    async def call(_: int) -> Counter[str]:
        return Counter(found(await reconcile(agentdb_database, repair=True, batch=3)))

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    rest = Counter(found(await reconcile(agentdb_database, repair=True)))

    assert outcomes.errors == []
    total = sum(outcomes.results, rest)
    assert total == {"default_buckets": 11, "service_account_tokens": 12}


@pytest.mark.agentdb_plans
@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.__name__)
async def test_a_batch_follows_the_key_of_its_table(
    agentdb_database: Database, agentdb_make: Factory, sweep: type[Walked]
) -> None:
    """It looks others up by theirs, and reads no table beside it; nor does a dry run."""
    agentdb_make.workflow_run_step()
    agentdb_make.service_account_token()
    table = sweep.model.__tablename__
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, sweep(None).change(uow, None, 10))
        plans += await plans_of(uow, sweep(None).count(uow, 10))

    for plan in plans:
        # SQLite walks over a table with an integer key in its order without an index.
        assert f"pk_{table}" in plan.indexes or "INTEGER PRIMARY KEY" in plan.text
        assert plan.scans <= {table}
