from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.conversations.rows import NewRunEvent, UsageFields
from agentdb.errors import (
    ConflictError,
    InvalidValueError,
    LeaseLostError,
    NotFoundError,
    ValueOutOfRangeError,
)
from agentdb.models import TenantAccount
from agentdb.operations import append_messages, complete_run
from agentdb.testing import Factory, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
USAGE: UsageFields = {"input_tokens": 7, "output_tokens": 3}
ANSWER = [NewMessage(role="assistant", content="Here it is.")]
ITEM = [NewRunEvent(run_item_type="message", response_id="r1")]
TABLES = (
    "activity_events",
    "agent_messages",
    "agent_run_events",
    "agent_run_usage",
    "subscription_usage",
    "usage_counters",
)


async def asked(uow: UnitOfWork, key: str = "support-42", **options: Any) -> UUID:
    """Return a conversation with a question."""
    question = [NewMessage(role="user", content="Where is it?")]
    conversation, _ = await append_messages(uow, key, question, create="triage", **options)
    return conversation.id


async def counts(uow: UnitOfWork) -> dict[str, int]:
    """Return how many rows there are in the tables that the end of a run writes."""
    return {table: await getattr(uow, table).count() for table in TABLES}


async def test_the_end_of_a_run_is_stored_whole(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Messages, items, usage, totals, session, features, counter, event and queue at once."""
    member = agentdb_make.tenant_user_membership()
    agentdb_make.tenant_subscription()
    conversation = await asked(agentdb_uow, user_id=member.user_id)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.enqueue(conversation, {})
    await queue.enqueue(conversation, {})
    (held,) = await queue.claim()
    done = await complete_run(
        agentdb_uow,
        "support-42",
        "r1",
        USAGE,
        messages=ANSWER,
        run_events=ITEM,
        session_state={"session_cursor": "c1"},
        features={"messages": 1, "input_tokens": 7},
        activity={"actor_type": "service"},
        queue_item=(held.id, held.attempt),
        now=NOON,
    )

    assert done.applied
    assert [message.position for message in done.messages] == [1]
    row = await agentdb_uow.agent_conversations.require(conversation)
    assert (row.message_count, row.session_cursor) == (2, "c1")
    assert (row.total_tokens_prompt, row.total_tokens_completion, row.total_requests) == (7, 3, 1)
    (usage,) = await agentdb_uow.agent_run_usage.all()
    assert (usage.response_id, usage.total_tokens) == ("r1", 10)
    assert len(await agentdb_uow.agent_run_events.history(conversation)) == 1
    (counter,) = await agentdb_uow.usage_counters.all()
    assert (counter.user_id, counter.period_start) == (member.user_id, NOON.date())
    assert (counter.input_tokens, counter.output_tokens, counter.requests) == (7, 3, 1)
    (event,) = await agentdb_uow.activity_events.all()
    assert (event.action, event.actor_type) == ("conversation.run.completed", "service")
    assert (event.object_type, event.object_id) == ("conversation", str(conversation))
    midnight = NOON.replace(hour=0)
    used = await agentdb_uow.subscription_usage.all()
    assert {(u.feature_key, u.quantity, u.period_start, u.period_end) for u in used} == {
        ("messages", 1, midnight, midnight + timedelta(days=1)),
        ("input_tokens", 7, midnight, midnight + timedelta(days=1)),
    }
    states = [item.status for item in await queue.all(order=[queue.model.id])]
    assert states == ["completed", "ready"]


async def test_a_repeated_response_writes_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Whatever else the second call brings."""
    agentdb_make.tenant_subscription()
    conversation = await asked(agentdb_uow)
    everything: dict[str, Any] = {
        "messages": ANSWER,
        "run_events": ITEM,
        "features": {"messages": 1},
        "activity": {},
    }
    await complete_run(agentdb_uow, conversation, "r1", USAGE, **everything)
    row = await agentdb_uow.agent_conversations.require(conversation)
    before = (await counts(agentdb_uow), row.total_requests, row.message_count, row.updated_at)
    again = await complete_run(
        agentdb_uow,
        "support-42",
        "r1",
        {"input_tokens": 500},
        session_state={"session_cursor": "other"},
        queue_item=(4711, 1),
        **everything,
    )

    assert (again.applied, again.messages) == (False, ())
    row = await agentdb_uow.agent_conversations.require(conversation)
    assert row.session_cursor is None
    now = (await counts(agentdb_uow), row.total_requests, row.message_count, row.updated_at)
    assert now == before
    assert [u.quantity for u in await agentdb_uow.subscription_usage.all()] == [1]


async def test_a_second_run_of_a_day_adds_up(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One counter and one bucket for each UTC day."""
    agentdb_make.tenant_subscription()
    await asked(agentdb_uow)
    for number, at in enumerate((NOON, NOON + timedelta(hours=11), NOON + timedelta(hours=12))):
        features = {"messages": 2}
        await complete_run(
            agentdb_uow, "support-42", f"r{number}", USAGE, features=features, now=at
        )
    counters = await agentdb_uow.usage_counters.all()
    used = await agentdb_uow.subscription_usage.all()

    assert {(c.user_id, c.period_start.day, c.requests, c.input_tokens) for c in counters} == {
        (None, 2, 2, 14),
        (None, 3, 1, 7),
    }
    assert {(u.period_start.day, u.quantity) for u in used} == {(2, 4), (3, 2)}


async def test_without_a_current_subscription_no_feature_is_counted(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One that has ended takes nothing."""
    agentdb_make.tenant_subscription(status="canceled")
    await asked(agentdb_uow)
    done = await complete_run(agentdb_uow, "support-42", "r1", USAGE, features={"messages": 1})

    assert done.applied
    assert await counts(agentdb_uow) == {
        "activity_events": 0,
        "agent_messages": 1,
        "agent_run_events": 0,
        "agent_run_usage": 1,
        "subscription_usage": 0,
        "usage_counters": 1,
    }


async def test_the_use_of_somebody_who_has_left_is_counted_for_nobody(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """They own the conversation still, but are no member any more."""
    member = agentdb_make.tenant_user_membership()
    await asked(agentdb_uow, user_id=member.user_id)
    await agentdb_uow.tenant_user_memberships.delete(member.id)
    await complete_run(agentdb_uow, "support-42", "r1", USAGE)

    assert [c.user_id for c in await agentdb_uow.usage_counters.all()] == [None]


async def refused(uow: UnitOfWork, error: type[Exception], **values: Any) -> None:
    """Check that a run that cannot end leaves everything as it was, and the unit usable."""
    row = await uow.agent_conversations.by_ref("support-42")
    assert row is not None
    before = (await counts(uow), row.message_count, row.total_requests, row.session_cursor)
    given: dict[str, Any] = {"response_id": "r9", "usage": USAGE, "messages": ANSWER, **values}
    with pytest.raises(error):
        await complete_run(
            uow, "support-42", session_state={"session_cursor": "c9"}, activity={}, **given
        )

    # The loaded entity first: it must not tell of what was undone.
    told = (row.message_count, row.total_requests, row.session_cursor)
    assert (await counts(uow), *told) == before
    assert (await complete_run(uow, "support-42", f"r{uuid4().hex}", USAGE)).applied


async def test_a_worker_that_has_lost_its_run_stores_nothing(agentdb_uow: UnitOfWork) -> None:
    """Cancelled meanwhile, taken over, or never there."""
    conversation = await asked(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.enqueue(conversation, {})
    (held,) = await queue.claim()
    await refused(agentdb_uow, LeaseLostError, queue_item=(held.id, held.attempt + 1))
    await queue.cancel(held.id)
    await refused(agentdb_uow, LeaseLostError, queue_item=(held.id, held.attempt))
    await refused(agentdb_uow, LeaseLostError, queue_item=(4711, 1))


async def test_a_run_of_another_conversation_is_not_completed(agentdb_uow: UnitOfWork) -> None:
    """The queued run goes on, and nothing is stored."""
    await asked(agentdb_uow)
    other = await asked(agentdb_uow, "other")
    queue = agentdb_uow.conversation_run_queue_items
    await queue.enqueue(other, {})
    (held,) = await queue.claim()
    await refused(agentdb_uow, ConflictError, queue_item=(held.id, held.attempt))

    assert (await queue.require(held.id)).status == "running"


async def test_a_response_of_another_conversation_is_refused(agentdb_uow: UnitOfWork) -> None:
    """As its usage is."""
    await asked(agentdb_uow)
    await asked(agentdb_uow, "other")
    await complete_run(agentdb_uow, "other", "r1", USAGE)
    await refused(agentdb_uow, ConflictError, response_id="r1")


BAD: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "message": (InvalidValueError, {"messages": [NewMessage(role="robot", content="x")]}),
    "item": (InvalidValueError, {"run_events": [NewRunEvent(run_item_type="x" * 65)]}),
    "workflow": (NotFoundError, {"run_events": ITEM, "workflow_run_id": "absent"}),
    "usage": (ValueOutOfRangeError, {"usage": {"input_tokens": 2**31}}),
    "feature": (InvalidValueError, {"features": {"messages": -1}}),
    "response": (InvalidValueError, {"response_id": "x" * 129}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_refused_value_stores_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, name: str
) -> None:
    """Wherever in the turn it stands."""
    agentdb_make.tenant_subscription()
    await asked(agentdb_uow)
    error, values = BAD[name]
    await refused(agentdb_uow, error, **values)


async def test_a_refused_event_stores_nothing(agentdb_uow: UnitOfWork) -> None:
    """It is the last part, so that all others are undone."""
    await asked(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await complete_run(agentdb_uow, "support-42", "r1", USAGE, activity={"action": "x" * 97})

    assert set((await counts(agentdb_uow)).values()) == {0, 1}
    assert await agentdb_uow.agent_run_usage.count() == 0


async def test_a_conversation_that_is_not_there_ends_no_run(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """Nor does another tenant's."""
    conversation = await asked(agentdb_uow)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        for ref in ("support-42", conversation, uuid4()):
            with pytest.raises(NotFoundError):
                await complete_run(uow, ref, "r1", USAGE)
        assert sum((await counts(uow)).values()) == 0


@pytest.mark.agentdb_commits
async def test_of_eight_ends_of_one_response_one_is_applied(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Everything is written once."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await asked(uow)

    async def call(_: int) -> bool:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            done = await complete_run(
                uow, "support-42", "r1", USAGE, messages=ANSWER, run_events=ITEM, activity={}
            )
            return done.applied

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert sorted(outcomes.results) == [False] * 7 + [True], outcomes.errors
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        found = await counts(uow)
        assert found == {**dict.fromkeys(TABLES, 1), "agent_messages": 2, "subscription_usage": 0}
        (counter,) = await uow.usage_counters.all()
        assert (counter.input_tokens, counter.requests) == (7, 1)


@pytest.mark.agentdb_commits
async def test_eight_runs_of_one_tenant_are_all_counted(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """In different conversations at once: one counter and one bucket with exact sums."""
    async with agentdb_database.begin_system(reason="test") as uow:
        plan = await uow.billing_plans.add(
            uow.billing_plans.model(code="p", name="P", price_cents=1)
        )
        await uow.tenant_subscriptions.add(
            uow.tenant_subscriptions.model(tenant_id=agentdb_tenant.id, plan_id=plan.id)
        )
    for number in range(8):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await asked(uow, f"c{number}")

    async def call(number: int) -> bool:
        features = dict(
            sorted({"messages": 1, "input_tokens": 7}.items(), reverse=bool(number % 2))
        )
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            done = await complete_run(
                uow, f"c{number}", f"r{number}", USAGE, features=features, now=NOON
            )
            return done.applied

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.results == [True] * 8, outcomes.errors
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (counter,) = await uow.usage_counters.all()
        assert (counter.input_tokens, counter.requests) == (56, 8)
        used = await uow.subscription_usage.all()
        assert {row.feature_key: row.quantity for row in used} == {
            "messages": 8,
            "input_tokens": 56,
        }
