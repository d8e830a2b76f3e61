from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.maintenance import Report, purge_truncated
from agentdb.maintenance.truncated import Truncated
from agentdb.models import TenantAccount
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, truncate_from
from agentdb.storage.values import StorageObjectStatus
from agentdb.testing import Factory
from tests.ledger.conversations import asked, begun, places, walk
from tests.ledger.frames import frame, frames
from tests.plans import plans_of

NOW = timedelta(0)
LONG_AGO = datetime.now(UTC) - timedelta(days=60)


async def turn(uow: UnitOfWork, store: MemoryObjectStore, key: str, number: int) -> int:
    """Store a question and four frames, one of them spilled; return the id of the question."""
    question = await asked(uow, key, f"q{number}")
    given = [*frames(3, f"turn-{number}"), frame(4, f"turn-{number}", text="x" * 900)]
    await append_ledger(uow, key, given, store=store, inline_limit=800)
    return question


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return an empty store."""
    return MemoryObjectStore()


async def cut_conversation(
    database: Database,
    tenant: UUID,
    store: MemoryObjectStore,
    key: str = "chat",
    now: datetime | None = None,
) -> None:
    """Store a turn, two more that are cut, one more that is cut whole, and a last one."""
    async with database.begin(tenant=tenant) as uow:
        await begun(uow, key)
        await turn(uow, store, key, 0)
        second = await turn(uow, store, key, 1)
        await turn(uow, store, key, 2)
        await truncate_from(uow, key, second, now=now)
        third = await turn(uow, store, key, 3)
        await truncate_from(uow, key, third, now=now)
        await turn(uow, store, key, 4)


async def shown(database: Database, tenant: UUID, key: str = "chat") -> object:
    """Return all that readers see of a conversation."""
    async with database.read(tenant=tenant) as uow:
        transcript = (await uow.agent_messages.transcript(key)).items
        row = await uow.agent_conversations.by_ref(key)
        assert row is not None
        return transcript, await walk(uow, key), row.message_count


ALL = {"messages": 3, "frames": 12, "objects": 3, "segments": 1}


@pytest.mark.parametrize("batch", [1000, 5, 1])
async def test_what_is_hidden_goes_and_what_is_visible_stays(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    store: MemoryObjectStore,
    batch: int,
) -> None:
    """A dry run counts what a run changes, a second run changes nothing, readers see no change."""
    tenant = agentdb_tenant.id
    await cut_conversation(agentdb_database, tenant, store)
    before = await shown(agentdb_database, tenant)
    counted = await purge_truncated(agentdb_database, older_than=NOW, batch=batch, dry_run=True)
    unchanged = await purge_truncated(agentdb_database, older_than=NOW, dry_run=True)
    done = await purge_truncated(agentdb_database, older_than=NOW, batch=batch)
    again = await purge_truncated(agentdb_database, older_than=NOW, batch=batch)

    assert counted == unchanged == done == Report(ALL, done=True)
    assert again == Report(dict.fromkeys(ALL, 0), done=True)
    assert before == await shown(agentdb_database, tenant)
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.agent_messages.count() == 2
        assert await uow.conversation_ledger_events.count() == 8
        assert [s.segment_index for s in await uow.conversation_ledger_segments.all()] == [0, 2]


async def test_objects_of_purged_frames_are_left_for_removal(
    agentdb_database: Database, agentdb_tenant: TenantAccount, store: MemoryObjectStore
) -> None:
    """Their rows are soft-deleted and name the bytes; visible frames keep theirs."""
    await cut_conversation(agentdb_database, agentdb_tenant.id, store)
    await purge_truncated(agentdb_database, older_than=NOW)

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        rows = await uow.storage_objects.all(include_deleted=True)
        gone = [row for row in rows if row.deleted_at is not None]
        assert {row.status for row in gone} == {StorageObjectStatus.DELETED}
        assert (len(rows), len(gone)) == (5, 3)
        for row in gone:
            assert await store.delete(row.object_key)
        page = await uow.conversation_ledger_events.replay("chat", store=store)
        assert len([item.payload for item in page]) == 8


async def test_a_purged_frame_can_be_stored_again(
    agentdb_database: Database, agentdb_tenant: TenantAccount, store: MemoryObjectStore
) -> None:
    """Sent again it is new, with its object, and lands behind what is visible."""
    await cut_conversation(agentdb_database, agentdb_tenant.id, store)
    await purge_truncated(agentdb_database, older_than=NOW)
    again = [*frames(3, "turn-1"), frame(4, "turn-1", text="x" * 900)]

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        recorded = await append_ledger(uow, "chat", again, store=store, inline_limit=800)
        page = await uow.conversation_ledger_events.replay("chat", store=store)
        assert [item.inserted for item in recorded] == [True] * 4
        assert [item.payload for item in page][-4:] == again


async def test_only_old_truncations_count(
    agentdb_database: Database, agentdb_tenant: TenantAccount, store: MemoryObjectStore
) -> None:
    """By default what was hidden within thirty days stays."""
    tenant = agentdb_tenant.id
    await cut_conversation(agentdb_database, tenant, store)
    await cut_conversation(agentdb_database, tenant, store, "old", LONG_AGO)

    assert (await purge_truncated(agentdb_database)).counts == ALL
    assert (await purge_truncated(agentdb_database, older_than=NOW)).counts == ALL


async def test_only_the_tenant_named_is_purged(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_make: Factory,
    store: MemoryObjectStore,
) -> None:
    """Other tenants keep what they have hidden."""
    other = agentdb_make.tenant_account()
    for tenant in (agentdb_tenant, other):
        await cut_conversation(agentdb_database, tenant.id, store)
    for dry_run in (True, False):
        found = await purge_truncated(
            agentdb_database, older_than=NOW, tenant_id=other.id, dry_run=dry_run
        )
        assert found.counts == ALL

    assert (await purge_truncated(agentdb_database, older_than=NOW)).counts == ALL


@pytest.mark.parametrize("max_batches", [1, 2, 4])
async def test_a_run_can_end_early_and_go_on(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    store: MemoryObjectStore,
    max_batches: int,
) -> None:
    """A dry run of as many batches counts the same; run after run comes to the end."""
    await cut_conversation(agentdb_database, agentdb_tenant.id, store)
    total = dict.fromkeys(ALL, 0)
    while True:
        counted, found = [
            await purge_truncated(
                agentdb_database,
                older_than=NOW,
                batch=4,
                max_batches=max_batches,
                dry_run=dry_run,
            )
            for dry_run in (True, False)
        ]
        assert counted == found
        total = {name: total[name] + count for name, count in found.counts.items()}
        if found.done:
            break

    assert total == ALL


@pytest.mark.agentdb_commits
async def test_it_can_be_run_from_a_url_by_several_at_once(
    agentdb_url: str,
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    store: MemoryObjectStore,
) -> None:
    """Together they purge each row once, while others append and truncate."""
    tenant = agentdb_tenant.id
    for number in range(4):
        await cut_conversation(agentdb_database, tenant, store, f"chat-{number}")

    async def write() -> None:
        for number in range(4):
            async with agentdb_database.begin(tenant=tenant) as uow:
                question = await turn(uow, store, f"chat-{number}", 9)
                await truncate_from(uow, f"chat-{number}", question)

    purges = [purge_truncated(agentdb_url, older_than=NOW, batch=3) for _ in range(3)]
    reports, _ = await asyncio.gather(asyncio.gather(*purges), write())
    reports.append(await purge_truncated(agentdb_url, older_than=NOW))

    total = {name: sum(report.counts[name] for report in reports) for name in ALL}
    assert total["messages"] == 4 * (3 + 1)
    assert total["frames"] == 4 * (12 + 4)
    assert total["objects"] == 4 * (3 + 1)
    async with agentdb_database.read(tenant=tenant) as uow:
        for number in range(4):
            seen = places(await walk(uow, f"chat-{number}"))
            assert seen == [(f"turn-{t}", event) for t in (0, 4) for event in (1, 2, 3, 4)]


async def test_an_empty_truncated_segment_leaves_its_children(
    agentdb_database: Database, agentdb_tenant: TenantAccount, store: MemoryObjectStore
) -> None:
    """The active segment stays even if it is empty, and its parent may be gone."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)
        question = await turn(uow, store, "chat", 0)
        await truncate_from(uow, "chat", question)
    found = await purge_truncated(agentdb_database, older_than=NOW)

    assert found.counts == {"messages": 1, "frames": 4, "objects": 1, "segments": 1}
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        (left,) = await uow.conversation_ledger_segments.all()
        assert (left.segment_index, left.parent_segment_id, left.truncated_at) == (1, None, None)
        assert await walk(uow, "chat") == []
        await turn(uow, store, "chat", 1)
        (row,) = (await uow.agent_messages.transcript("chat")).items
        assert row.position == 1


@pytest.mark.agentdb_plans
async def test_batches_follow_the_truncations_by_index(
    agentdb_database: Database, agentdb_tenant: TenantAccount, store: MemoryObjectStore
) -> None:
    """Neither a batch nor a count reads a table from end to end."""
    await cut_conversation(agentdb_database, agentdb_tenant.id, store)
    sweep = Truncated(None, NOW)
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = [
            *await plans_of(uow, sweep.count(uow, 10)),
            *await plans_of(uow, sweep.change(uow, None, 10)),
            *await plans_of(uow, sweep.change(uow, (1, (LONG_AGO, UUID(int=0))), 10)),
        ]

    assert len(plans) > 6
    for plan in plans:
        plan.assert_scans_nothing()
    used = set[str]().union(*(plan.indexes for plan in plans))
    assert used >= {
        "ix_agent_messages_segment_id",
        "ix_conversation_ledger_events_segment_id",
        "ix_conversation_ledger_segments_truncated",
    }
