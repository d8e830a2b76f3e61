from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb.database import Database
from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    QueueFullError,
    TenantRequiredError,
)
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.models import TenantAccount
from agentdb.testing import Factory, FrozenClock
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.conversations import begun
from tests.ledger.queues import CHAT, claimed, put, queued, states

HOUR = timedelta(hours=1)


async def test_the_first_run_is_ready_and_the_others_wait(agentdb_uow: UnitOfWork) -> None:
    """A conversation has one head; what comes later is queued behind it."""
    ids = await queued(agentdb_uow, 3)

    assert await states(agentdb_uow) == dict(zip(ids, ["ready", "queued", "queued"], strict=True))
    assert ids == sorted(ids)


async def test_a_run_is_returned_as_it_was_queued(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """Payload, user, segment and stamp are those of the call; nothing has happened yet."""
    conversation = await begun(agentdb_uow)
    member = agentdb_make.tenant_user_membership()
    payload = {"prompt": "hello", "deep": [1, {"two": None}]}

    item = await agentdb_uow.conversation_run_queue_items.enqueue(
        CHAT, payload, created_by_user_id=member.user_id
    )
    segment = await agentdb_uow.conversation_ledger_segments.active(CHAT)

    assert (item.tenant_id, item.conversation_id) == (agentdb_uow.tenant, conversation)
    assert (item.payload, item.created_by_user_id, item.segment_id) == (
        payload,
        member.user_id,
        segment.id,
    )
    assert (item.attempt, item.error, item.created_at) == (0, None, agentdb_freeze_now())
    assert (item.started_at, item.completed_at, item.cancelled_at) == (None, None, None)


async def test_a_full_queue_refuses_and_the_unit_goes_on(agentdb_uow: UnitOfWork) -> None:
    """Waiting runs count, the head among them; one that is being worked on does not."""
    await queued(agentdb_uow, 3)
    queue = agentdb_uow.conversation_run_queue_items
    with pytest.raises(QueueFullError):
        await queue.enqueue(CHAT, {}, max_depth=3)
    await claimed(agentdb_uow)
    await queue.enqueue(CHAT, {}, max_depth=3)
    with pytest.raises(QueueFullError):
        await queue.enqueue(CHAT, {}, max_depth=3)

    assert len(await states(agentdb_uow)) == 4


async def test_ten_runs_may_wait_by_default(agentdb_uow: UnitOfWork) -> None:
    """The eleventh is refused."""
    await begun(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items
    for _ in range(10):
        await queue.enqueue(CHAT, {})

    with pytest.raises(QueueFullError):
        await queue.enqueue(CHAT, {})


@pytest.mark.parametrize("payload", ["text", [1], None, {"nul": "\x00"}, {"nan": float("nan")}])
async def test_a_payload_is_an_object_that_both_databases_keep(
    agentdb_uow: UnitOfWork, payload: Any
) -> None:
    """Anything else is refused before the conversation is touched."""
    await begun(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.conversation_run_queue_items.enqueue(CHAT, payload)

    assert await states(agentdb_uow) == {}


async def test_an_unknown_user_or_conversation_stores_nothing(agentdb_uow: UnitOfWork) -> None:
    """The error undoes the verb alone, also the segment that it had opened."""
    await begun(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items
    with pytest.raises(NotFoundError):
        await queue.enqueue(CHAT, {}, created_by_user_id=uuid4())
    for unknown in ("nobody's", uuid4()):
        with pytest.raises(NotFoundError):
            await queue.enqueue(unknown, {})

    assert await states(agentdb_uow) == {}
    assert await agentdb_uow.conversation_ledger_segments.count() == 0


async def test_a_user_who_does_not_exist_is_refused_in_a_system_unit_too(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """There the foreign key refuses; the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.agent_conversations.get_or_create(CHAT, "triage", tenant_id=agentdb_tenant.id)
        queue = uow.conversation_run_queue_items
        with pytest.raises(NotFoundError):
            await queue.enqueue(CHAT, {}, created_by_user_id=uuid4(), tenant_id=agentdb_tenant.id)
        assert (await queue.enqueue(CHAT, {}, tenant_id=agentdb_tenant.id)).status == "ready"
        with pytest.raises(TenantRequiredError):
            await queue.enqueue(CHAT, {})


async def test_runs_are_claimed_oldest_first_and_one_of_a_conversation(
    agentdb_uow: UnitOfWork,
) -> None:
    """A claim never takes two runs of one conversation, whatever its limit."""
    first, second = await queued(agentdb_uow, 2, "one")
    other, _ = await queued(agentdb_uow, 2, "other")
    queue = agentdb_uow.conversation_run_queue_items

    taken = await queue.claim(limit=10)
    assert [item.id for item in taken] == [first, other]
    assert [(item.status, item.attempt) for item in taken] == [("running", 1)] * 2
    assert await queue.claim(limit=10) == []
    await queue.complete(first, 1)
    assert [item.id for item in await queue.claim(limit=10)] == [second]


async def test_a_claim_takes_no_more_than_its_limit(agentdb_uow: UnitOfWork) -> None:
    """One by default, the oldest."""
    ids = [(await queued(agentdb_uow, 1, f"chat-{n}"))[0] for n in range(3)]
    queue = agentdb_uow.conversation_run_queue_items

    assert [item.id for item in await queue.claim()] == ids[:1]
    assert [item.id for item in await queue.claim(limit=2)] == ids[1:]


async def test_a_claim_stamps_the_run_and_the_entity_of_the_unit(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """What the unit had loaded is brought up to date."""
    (key,) = await queued(agentdb_uow, 1)
    entity = await agentdb_uow.conversation_run_queue_items.require(key)
    agentdb_freeze_now.advance(HOUR)

    item = await claimed(agentdb_uow)

    assert item.started_at == agentdb_freeze_now()
    assert (entity.status, entity.attempt_count, entity.started_at) == (
        "running",
        1,
        agentdb_freeze_now(),
    )


async def test_a_system_unit_claims_for_all_tenants_or_for_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The item says whose it is."""
    tenants = [agentdb_make.tenant.id, agentdb_make.tenant_account(name="Other").id]
    for tenant in tenants:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await queued(uow, 2)
    async with agentdb_database.begin_system(reason="test") as uow:
        queue = uow.conversation_run_queue_items
        (item,) = await queue.claim(tenant_id=tenants[1], limit=5)
        assert item.tenant_id == tenants[1]
        await queue.complete(item.id, item.attempt)
        both: list[UUID] = [item.tenant_id for item in await queue.claim(limit=5)]
        assert both == tenants


async def test_a_tenants_unit_claims_its_own_runs_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Neither what is ready of others, nor what has lapsed, even to its last attempt."""
    other = agentdb_make.tenant_account(name="Other").id
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await queued(uow, 1, "lapsed")
        item = await claimed(uow)
        await queued(uow, 1, "ready")
        before = await states(uow)
    assert item.started_at is not None
    async with agentdb_database.begin(tenant=other) as uow:
        for attempts in (1, 5):
            assert (
                await uow.conversation_run_queue_items.claim(
                    now=item.started_at + HOUR, max_attempts=attempts, limit=5
                )
                == []
            )
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        assert await states(uow) == before


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"max_attempts": 0}, {"lease": timedelta(0)}, {"limit": True}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_claim_refuses_what_cannot_be(
    agentdb_uow: UnitOfWork, wrong: dict[str, Any]
) -> None:
    """No limit, no attempt or no lease would claim nothing, or lose all."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.conversation_run_queue_items.claim(**wrong)


async def test_a_run_that_a_host_put_there_gets_its_turn(
    agentdb_uow: UnitOfWork, agentdb_tenant: TenantAccount
) -> None:
    """Where runs wait without a head, the next enqueue makes the oldest ready, and not its own."""
    conversation = await begun(agentdb_uow)
    first, _ = await put(agentdb_uow, conversation, agentdb_tenant.id, {}, {})

    own = await agentdb_uow.conversation_run_queue_items.enqueue(CHAT, {})

    assert own.status == "queued"
    assert (await states(agentdb_uow))[first] == "ready"


async def test_a_place_counts_what_comes_before(agentdb_uow: UnitOfWork) -> None:
    """0 for the head, for what runs and for what has ended."""
    ids = await queued(agentdb_uow, 4)
    queue = agentdb_uow.conversation_run_queue_items
    assert [await queue.place(key) for key in ids] == [0, 1, 2, 3]

    item = await claimed(agentdb_uow)
    assert [await queue.place(key) for key in ids] == [0, 1, 2, 3]
    await queue.complete(item.id, item.attempt)
    await queue.cancel(ids[2])
    assert [await queue.place(key) for key in ids] == [0, 0, 0, 1]
    with pytest.raises(NotFoundError):
        await queue.place(ids[-1] + 1)


async def test_a_run_behind_a_younger_one_that_runs_counts_it(agentdb_uow: UnitOfWork) -> None:
    """After a requeue the run that is being worked on may be the younger one."""
    first, _ = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.cancel(first)
    await claimed(agentdb_uow)
    await queue.requeue(first)

    assert await queue.place(first) == 1


async def test_times_can_be_given(agentdb_uow: UnitOfWork) -> None:
    """The clock of a verb is the one that it is given."""
    await begun(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    item = await queue.enqueue(CHAT, {}, now=at)
    assert item.created_at == at
    (item,) = await queue.claim(now=at + HOUR)
    assert item.started_at == at + HOUR
    item = await queue.heartbeat(item.id, 1, now=at + 2 * HOUR)
    assert item.started_at == at + 2 * HOUR
    item = await queue.complete(item.id, 1, now=at + 3 * HOUR)
    assert item.completed_at == at + 3 * HOUR
    row = await queue.require(item.id)
    assert (row.started_at, row.completed_at) == (at + 2 * HOUR, at + 3 * HOUR)
    assert isinstance(row, ConversationRunQueueItem)
