from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.conversations.models import AgentConversation, ConversationSummary
from agentdb.errors import (
    AgentDBError,
    ConflictError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ResyncRequiredError,
)
from agentdb.ledger.models import ConversationLedgerSegment, ConversationRunQueueItem
from agentdb.ledger.values import QueueItemStatus
from agentdb.models import TenantAccount
from agentdb.operations import Truncated, append_ledger, truncate_from
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently
from tests.ledger.conversations import asked, begun, places, walk
from tests.ledger.frames import frames


async def answered(uow: UnitOfWork, ref: UUID | str, text: str = "answer") -> None:
    """Append a message of the assistant."""
    await uow.agent_messages.append(ref, [NewMessage(role="assistant", content=text)])


async def turn(uow: UnitOfWork, ref: UUID | str, number: int) -> int:
    """Store a question, three frames and the answer; return the id of the question."""
    question = await asked(uow, ref, f"q{number}")
    await append_ledger(uow, ref, frames(3, f"turn-{number}"))
    await answered(uow, ref, f"a{number}")
    return question


async def texts(uow: UnitOfWork, ref: UUID | str) -> list[str | None]:
    """Return the visible messages."""
    return [row.text for row in await uow.agent_messages.transcript(ref)]


async def queued(
    uow: UnitOfWork, conversation: UUID, status: QueueItemStatus, segment: UUID | None
) -> int:
    """Store a run as the queue would have it."""
    values: dict[str, Any] = {
        "tenant_id": uow.tenant,
        "conversation_id": conversation,
        "segment_id": segment,
        "status": status,
        "attempt_count": 0,
        "payload_json": {},
        "created_at": datetime.now(UTC),
    }
    statement = insert(ConversationRunQueueItem).values(**values)
    result = await uow.execute(statement.returning(ConversationRunQueueItem.id))
    return int(result.scalar_one())


async def test_a_message_and_what_follows_are_hidden(agentdb_uow: UnitOfWork) -> None:
    """Earlier turns stay with their frames, later ones go, and the next turn goes on."""
    conversation = await begun(agentdb_uow)
    questions = [await turn(agentdb_uow, conversation, number) for number in range(3)]
    cut = await truncate_from(agentdb_uow, conversation, questions[1])
    await turn(agentdb_uow, conversation, 9)

    assert (cut.hidden_messages, cut.hidden_events, cut.remaining) == (4, 6, 2)
    assert (cut.active.segment_index, cut.active.truncated_at) == (1, None)
    assert await texts(agentdb_uow, conversation) == ["q0", "a0", "q9", "a9"]
    seen = places(await walk(agentdb_uow, conversation))
    assert seen == [(f"turn-{t}", event) for t in (0, 9) for event in (1, 2, 3)]
    row = await agentdb_uow.agent_conversations.require(conversation)
    assert row.message_count == 8


async def test_the_segments_tell_what_was_cut(agentdb_uow: UnitOfWork) -> None:
    """The hit segment has both bounds, later ones show nothing, the new one follows the hit."""
    conversation = await begun(agentdb_uow)
    first = await turn(agentdb_uow, conversation, 0)
    second = await turn(agentdb_uow, conversation, 1)
    last_visible = (await walk(agentdb_uow, conversation, limit=100))[2].id
    await truncate_from(agentdb_uow, conversation, second)
    await turn(agentdb_uow, conversation, 2)
    rows = agentdb_uow.conversation_ledger_segments
    middle = await rows.active(conversation)
    cut = await truncate_from(agentdb_uow, conversation, first)
    oldest = await rows.one(ConversationLedgerSegment.segment_index == 0)

    def bounds(row: ConversationLedgerSegment) -> tuple[int | None, int | None]:
        return row.visible_through_message_position, row.visible_through_event_id

    assert last_visible > 0
    assert bounds(oldest) == (-1, 0)
    assert bounds(middle) == (-1, 0)
    assert None not in (middle.truncated_at, oldest.truncated_at)
    assert (cut.active.segment_index, cut.active.parent_segment_id) == (2, oldest.id)
    assert (cut.hidden_messages, cut.remaining) == (4, 0)
    assert await texts(agentdb_uow, conversation) == []


async def test_an_earlier_segment_can_be_cut_again(agentdb_uow: UnitOfWork) -> None:
    """What an earlier truncation hid stays hidden, whichever bound is asked for."""
    conversation = await begun(agentdb_uow)
    await turn(agentdb_uow, conversation, 0)
    second = await turn(agentdb_uow, conversation, 1)
    third = await turn(agentdb_uow, conversation, 2)
    await truncate_from(agentdb_uow, conversation, third)
    ends = 2**63 - 1
    cut = await truncate_from(agentdb_uow, conversation, second, through_event_id=ends)

    assert (cut.hidden_messages, cut.hidden_events, cut.remaining) == (2, 0, 2)
    seen = places(await walk(agentdb_uow, conversation))
    assert seen == [(f"turn-{t}", event) for t in (0, 1) for event in (1, 2, 3)]


async def test_the_bound_of_the_frames_can_be_given(agentdb_uow: UnitOfWork) -> None:
    """Frames up to the row stay; 0 hides all of the segment."""
    conversation = await begun(agentdb_uow)
    await turn(agentdb_uow, conversation, 0)
    second = await turn(agentdb_uow, conversation, 1)
    rows = await walk(agentdb_uow, conversation, limit=100)
    cut = await truncate_from(agentdb_uow, conversation, second, through_event_id=rows[4].id)

    assert cut.hidden_events == 1
    assert [item.id for item in await walk(agentdb_uow, conversation)] == [r.id for r in rows[:5]]
    question = await asked(agentdb_uow, conversation)
    await append_ledger(agentdb_uow, conversation, frames(2, "later"))
    cut = await truncate_from(agentdb_uow, conversation, question, through_event_id=0)
    assert cut.hidden_events == 2


@pytest.mark.parametrize("row", [-1, True, "3", 1.5, 2**63])
async def test_a_bound_that_is_no_row_is_refused(agentdb_uow: UnitOfWork, row: int) -> None:
    """A row id is a whole number from 0 of 64 bits."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    with pytest.raises(InvalidValueError):
        await truncate_from(agentdb_uow, conversation, question, through_event_id=row)


async def test_frames_before_the_message_stay_whatever_their_times_say(
    agentdb_uow: UnitOfWork,
) -> None:
    """The order of the appends decides: server timestamps and skewed clocks change nothing."""
    conversation = await begun(agentdb_uow)
    ledger, messages = agentdb_uow.conversation_ledger_events, agentdb_uow.agent_messages
    now = datetime.now(UTC)
    late = [{**f, "server_timestamp": "2099-01-01T00:00:00Z"} for f in frames(2, "before")]
    early = [{**f, "server_timestamp": "1999-01-01T00:00:00Z"} for f in frames(2, "after")]
    await ledger.append(conversation, late, now=now + timedelta(hours=1))
    question = NewMessage(role="user", content="q")
    (row,) = await messages.append(conversation, [question], now=now - timedelta(hours=1))
    await ledger.append(conversation, early, now=now - timedelta(hours=2))
    await truncate_from(agentdb_uow, conversation, row.id)

    assert places(await walk(agentdb_uow, conversation)) == [("before", 1), ("before", 2)]


async def test_only_a_visible_message_of_the_user_can_be_cut(agentdb_uow: UnitOfWork) -> None:
    """Hidden messages and those of others are refused, unknown ones not found."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    other = await asked(agentdb_uow, await begun(agentdb_uow, "other"))
    answer = (await agentdb_uow.agent_messages.transcript(conversation)).items[1]

    async def refusal(message: int) -> str:
        with pytest.raises(AgentDBError) as caught:
            await truncate_from(agentdb_uow, conversation, message)
        return type(caught.value).__name__

    assert await refusal(answer.id) == InvalidTransitionError.__name__
    assert await refusal(other) == NotFoundError.__name__
    assert await refusal(2**40) == NotFoundError.__name__
    await truncate_from(agentdb_uow, conversation, question)
    assert await refusal(question) == InvalidTransitionError.__name__
    assert await agentdb_uow.conversation_ledger_segments.count() == 3


async def test_only_the_owner_may_cut(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Another actor is refused; a conversation without an owner is anybody's."""
    owner = agentdb_make.user()
    owned = agentdb_make.conversation(user=owner)
    question = await asked(agentdb_uow, owned.id)
    with pytest.raises(PermissionDeniedError):
        await truncate_from(agentdb_uow, owned.id, question, actor_user_id=uuid4())
    await truncate_from(agentdb_uow, owned.id, question, actor_user_id=owner.id)
    unowned = await begun(agentdb_uow)
    question = await asked(agentdb_uow, unowned)

    cut = await truncate_from(agentdb_uow, unowned, question, actor_user_id=uuid4())
    assert cut.remaining == 0


async def test_summaries_are_deleted(agentdb_uow: UnitOfWork) -> None:
    """They may tell of what is hidden; those of other conversations stay."""
    conversation, other = await begun(agentdb_uow), await begun(agentdb_uow, "other")
    question = await turn(agentdb_uow, conversation, 0)
    for owner in (conversation, other):
        await agentdb_uow.conversation_summaries.add(
            ConversationSummary(
                tenant_id=agentdb_uow.tenant,  # type: ignore[arg-type]
                conversation_id=owner,
                summary_text="told",
            )
        )
    await truncate_from(agentdb_uow, conversation, question)

    (left,) = await agentdb_uow.conversation_summaries.all()
    assert left.conversation_id == other


async def test_waiting_runs_stand_against_it_unless_cancelled(agentdb_uow: UnitOfWork) -> None:
    """Without leave nothing changes; with it they are cancelled, ended ones stay."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    segment = (await agentdb_uow.conversation_ledger_segments.active(conversation)).id
    items = [
        await queued(agentdb_uow, conversation, status, segment)
        for status in (QueueItemStatus.READY, QueueItemStatus.QUEUED, QueueItemStatus.COMPLETED)
    ]
    with pytest.raises(ConflictError):
        await truncate_from(agentdb_uow, conversation, question)
    loaded = await agentdb_uow.conversation_run_queue_items.require(items[0])
    assert loaded.status == QueueItemStatus.READY
    await truncate_from(agentdb_uow, conversation, question, cancel_queue=True)

    rows = await agentdb_uow.conversation_run_queue_items.all()
    assert [(row.id, row.status) for row in rows] == [
        (items[0], QueueItemStatus.CANCELLED),
        (items[1], QueueItemStatus.CANCELLED),
        (items[2], QueueItemStatus.COMPLETED),
    ]
    assert loaded.cancelled_at is not None


async def test_runs_of_segments_that_were_hidden_before_stand_against_it_too(
    agentdb_uow: UnitOfWork,
) -> None:
    """And those of no segment: rows of other origin, which would run unseen."""
    conversation = await begun(agentdb_uow)
    first = await turn(agentdb_uow, conversation, 0)
    old = (await agentdb_uow.conversation_ledger_segments.active(conversation)).id
    await truncate_from(agentdb_uow, conversation, first)
    question = await turn(agentdb_uow, conversation, 1)
    runs = [
        await queued(agentdb_uow, conversation, QueueItemStatus.READY, old),
        await queued(agentdb_uow, conversation, QueueItemStatus.QUEUED, None),
    ]
    with pytest.raises(ConflictError):
        await truncate_from(agentdb_uow, conversation, question)
    await truncate_from(agentdb_uow, conversation, question, cancel_queue=True)

    rows = await agentdb_uow.conversation_run_queue_items.all()
    assert [(row.id, row.status) for row in rows] == [
        (key, QueueItemStatus.CANCELLED) for key in runs
    ]


async def test_a_run_at_work_refuses_it(agentdb_uow: UnitOfWork) -> None:
    """What it would write belongs to the hidden turn."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    segment = (await agentdb_uow.conversation_ledger_segments.active(conversation)).id
    await queued(agentdb_uow, conversation, QueueItemStatus.RUNNING, segment)
    with pytest.raises(ConflictError):
        await truncate_from(agentdb_uow, conversation, question, cancel_queue=True)

    assert await texts(agentdb_uow, conversation) == ["q0", "a0"]


async def test_loaded_rows_follow_the_truncation(agentdb_uow: UnitOfWork) -> None:
    """Entities that the unit has loaded are up to date afterwards."""
    row, _ = await agentdb_uow.agent_conversations.get_or_create("chat", "triage")
    question = await turn(agentdb_uow, row.id, 0)
    segment = await agentdb_uow.conversation_ledger_segments.active(row.id)
    at = datetime.now(UTC) + timedelta(days=1)
    await truncate_from(agentdb_uow, "chat", question, now=at)

    assert (segment.truncated_at, row.updated_at) == (at, at)


async def test_readers_behind_the_cut_need_a_resync(agentdb_uow: UnitOfWork) -> None:
    """A cursor at a visible frame goes on, one behind it raises, and so does resume."""
    conversation = await begun(agentdb_uow)
    await turn(agentdb_uow, conversation, 0)
    question = await turn(agentdb_uow, conversation, 1)
    ledger = agentdb_uow.conversation_ledger_events
    before = await ledger.replay(conversation, limit=3)
    behind = await ledger.replay(conversation, limit=4)
    await truncate_from(agentdb_uow, conversation, question)
    await turn(agentdb_uow, conversation, 2)

    page = await ledger.replay(conversation, after=before.cursor)
    assert places(list(page)) == [("turn-2", 1), ("turn-2", 2), ("turn-2", 3)]
    with pytest.raises(ResyncRequiredError):
        await ledger.replay(conversation, after=behind.cursor)
    with pytest.raises(ResyncRequiredError):
        await ledger.resume(conversation, "turn-1", 1)


async def test_another_tenants_conversation_cannot_be_cut(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """Neither its id nor its message lead anywhere."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        own = await begun(uow)
        calls: list[Awaitable[Truncated]] = [
            truncate_from(uow, conversation, question),
            truncate_from(uow, own, question),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("first", ["append", "truncate"])
async def test_an_append_is_wholly_before_a_truncation_or_wholly_after(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str
) -> None:
    """Whoever comes second waits: an earlier append is hidden whole, a later one visible whole."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        question = await turn(uow, await begun(uow), 0)

    async def append(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await append_ledger(uow, "chat", frames(2, "racing"))
            await uow.agent_messages.append("chat", [NewMessage(role="user", content="racing")])
            await pause()

    async def truncate(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await truncate_from(uow, "chat", question)
            await pause()

    second = {"append": "truncate", "truncate": "append"}[first]
    async with StepRunner(agentdb_database, append=append, truncate=truncate) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes == {"append": None, "truncate": None}
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        seen = places(await walk(uow, "chat"))
        shown = await texts(uow, "chat")
    visible = first == "truncate"
    assert seen == ([("racing", 1), ("racing", 2)] if visible else [])
    assert shown == (["racing"] if visible else [])


@pytest.mark.agentdb_commits
async def test_of_two_truncations_at_one_message_the_second_finds_it_hidden(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It waits for the first, and is refused by what the first has left."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        question = await turn(uow, await begun(uow), 0)

    async def truncate(pause: Pause) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            cut = await truncate_from(uow, "chat", question)
            await pause()
            return cut.hidden_messages

    async with StepRunner(agentdb_database, one=truncate, two=truncate) as runner:
        assert await runner.run(["one", "two"]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes["one"] == 2
    assert isinstance(outcomes["two"], InvalidTransitionError)


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_claim_under_way_refuses_a_truncation(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The truncation waits for the worker, who takes the head, and finds a run at work."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        question = await turn(uow, await begun(uow), 0)
        await uow.conversation_run_queue_items.enqueue("chat", {})

    async def claim(pause: Pause) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            claimed = await uow.conversation_run_queue_items.claim()
            await pause()
            return len(claimed)

    async def truncate(_: Pause) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return (await truncate_from(uow, "chat", question, cancel_queue=True)).remaining

    async with StepRunner(agentdb_database, claim=claim, truncate=truncate) as runner:
        assert await runner.run(["claim", "truncate"]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes["claim"] == 1
    assert isinstance(outcomes["truncate"], ConflictError)


@pytest.mark.agentdb_commits
async def test_appends_racing_truncations_are_never_torn(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """After many truncations among many appends each turn is whole or gone, and counts agree."""
    rounds = 6
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def write(number: int) -> None:
        for step in range(rounds):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                name = f"w{number}-{step}"
                await asked(uow, "chat", name)
                await append_ledger(uow, "chat", frames(3, name))

    async def cut(_: int) -> None:
        for _ in range(rounds):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                last = await uow.agent_messages.transcript("chat", direction="desc", limit=3)
                if last.items:
                    try:
                        await truncate_from(uow, "chat", last.items[-1].id)
                    except InvalidTransitionError:
                        continue  # another truncation hid it first

    async def call(number: int) -> None:
        await (cut(number) if number % 4 == 0 else write(number))

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        shown = [row.text for row in await uow.agent_messages.transcript("chat", limit=500)]
        seen = places(await walk(uow, "chat", limit=100))
        segments = await uow.conversation_ledger_segments.all()
        row = (await uow.agent_conversations.all())[0]
    assert seen == [(name, event) for name in shown for event in (1, 2, 3)]
    assert [s.truncated_at is None for s in segments].count(True) == 1
    assert sorted(s.segment_index for s in segments) == list(range(len(segments)))
    assert row.message_count == 6 * rounds


async def test_the_unit_goes_on_after_a_refusal(agentdb_uow: UnitOfWork) -> None:
    """Each refusal leaves the unit usable and everything as it was."""
    conversation = await begun(agentdb_uow)
    question = await turn(agentdb_uow, conversation, 0)
    await agentdb_uow.execute(
        update(AgentConversation).where(AgentConversation.id == conversation).values(user_id=None)
    )
    for message, bound in ((question, -1), (2**40, None)):
        with pytest.raises((InvalidValueError, NotFoundError)):
            await truncate_from(agentdb_uow, conversation, message, through_event_id=bound)

    found = await agentdb_uow.execute(select(ConversationLedgerSegment.truncated_at))
    assert found.scalars().all() == [None]
    assert await texts(agentdb_uow, conversation) == ["q0", "a0"]
