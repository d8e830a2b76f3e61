from __future__ import annotations

from uuid import uuid4

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import NotFoundError
from agentdb.models import TenantAccount
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, delete_conversation
from agentdb.storage.values import StorageObjectStatus
from agentdb.testing import Factory, Pause, StepRunner
from tests.ledger.conversations import asked, begun, walk
from tests.ledger.frames import frame, frames

PARTS = (
    "agent_messages",
    "agent_run_events",
    "agent_run_usage",
    "conversation_ledger_events",
    "conversation_ledger_segments",
    "conversation_run_queue_items",
    "conversation_summaries",
)


async def test_all_that_belongs_to_it_goes(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Rows of the seven tables go with it and are counted; another conversation stays whole."""
    gone, kept = agentdb_make.conversation(messages=3), agentdb_make.conversation(messages=2)
    for conversation in (gone, kept):
        agentdb_make.conversation_summary(conversation=conversation)
        agentdb_make.agent_run_event(conversation=conversation)
        agentdb_make.agent_run_usage(conversation=conversation)
        agentdb_make.conversation_run_queue_item(conversation=conversation)
        await append_ledger(agentdb_uow, conversation.id, frames(4))
    deleted = await delete_conversation(agentdb_uow, gone.id)

    assert deleted is not None
    assert deleted.counts["agent_messages"] == 3
    assert deleted.counts["conversation_ledger_events"] == 4
    assert set(deleted.counts) == {*PARTS, "agent_conversations"}
    assert all(count > 0 for count in deleted.counts.values())
    for name in PARTS:
        rows = await getattr(agentdb_uow, name).all()
        assert {row.conversation_id for row in rows} == {kept.id}
    assert [row.id for row in await agentdb_uow.agent_conversations.all()] == [kept.id]


async def test_its_objects_are_named_for_removal(agentdb_uow: UnitOfWork) -> None:
    """Objects of spilled frames are soft-deleted and returned, other objects lose it and stay."""
    store = MemoryObjectStore()
    conversation, other = await begun(agentdb_uow), await begun(agentdb_uow, "other")
    large = frame(1, text="x" * 2000)
    for owner in (conversation, other):
        await append_ledger(agentdb_uow, owner, [large], store=store, inline_limit=500)
    deleted = await delete_conversation(agentdb_uow, "chat")

    assert deleted is not None
    (left,) = deleted.objects
    rows = await agentdb_uow.storage_objects.all(include_deleted=True)
    assert {row.id: row.status for row in rows} == {
        row.id: StorageObjectStatus.DELETED if row.id == left.id else StorageObjectStatus.READY
        for row in rows
    }
    assert {row.object_key for row in rows} == set(store.blobs)
    assert await store.delete(left.object_key)
    assert await agentdb_uow.storage_objects.delete(left.id, include_deleted=True)
    page = await agentdb_uow.conversation_ledger_events.replay(other, store=store)
    assert [item.payload for item in page] == [large]


async def test_workflow_runs_stay_without_it(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A run of the conversation has none afterwards."""
    conversation = agentdb_make.conversation()
    run = agentdb_make.workflow_run(conversation=conversation)
    await delete_conversation(agentdb_uow, conversation.id)

    assert (await agentdb_uow.workflow_runs.require(run.id)).conversation_id is None


async def test_what_is_not_there_is_none(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """An unknown conversation, one deleted before and another tenant's give None."""
    conversation = await begun(agentdb_uow)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        assert await delete_conversation(uow, conversation) is None
        assert await delete_conversation(uow, "chat") is None

    assert await delete_conversation(agentdb_uow, conversation) is not None
    assert await delete_conversation(agentdb_uow, conversation) is None


async def test_its_key_is_free_again(agentdb_uow: UnitOfWork) -> None:
    """A conversation of the same key begins anew."""
    conversation = await begun(agentdb_uow)
    await asked(agentdb_uow, conversation)
    await delete_conversation(agentdb_uow, conversation)
    again = await begun(agentdb_uow)

    assert again != conversation
    assert await walk(agentdb_uow, again) == []
    (row,) = await agentdb_uow.agent_messages.append(again, [NewMessage(role="user", content="x")])
    assert row.position == 0


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("first", ["append", "remove"])
async def test_a_concurrent_append_goes_with_it_or_finds_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str
) -> None:
    """Whoever comes second waits; nothing is left of either order."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        conversation = await begun(uow)

    async def append(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await append_ledger(uow, conversation, frames(2))
            await pause()

    async def remove(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await delete_conversation(uow, conversation)
            await pause()

    second = {"append": "remove", "remove": "append"}[first]
    async with StepRunner(agentdb_database, append=append, remove=remove) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes["remove"] is None
    assert isinstance(outcomes["append"], NotFoundError) == (first == "remove")
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.conversation_ledger_events.count() == 0
        assert await uow.agent_conversations.count() == 0
