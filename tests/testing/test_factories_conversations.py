"""Conversations of the factories are read and continued by the verbs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from agentdb.conversations.models import AgentConversation, AgentMessage
from agentdb.conversations.rows import NewMessage
from agentdb.errors import DuplicateError, InvalidValueError
from agentdb.ledger.models import ConversationLedgerEvent, ConversationLedgerSegment
from agentdb.ledger.values import QueueItemStatus
from agentdb.testing import Factory
from agentdb.testing.factories.columns import EPOCH
from agentdb.testing.factories.references import table_of
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.frames import frame, frames, read_stream, recorded_streams


async def payloads(unit: UnitOfWork, ref: str) -> list[dict[str, Any] | None]:
    """Return all visible frames of a conversation."""
    found: list[dict[str, Any] | None] = []
    page = await unit.conversation_ledger_events.replay(ref)
    found += [item.payload for item in page]
    while page.more:
        page = await unit.conversation_ledger_events.replay(ref, after=page.cursor)
        found += [item.payload for item in page]
    return found


async def test_messages_and_frames_are_read_by_the_verbs(
    agentdb_make: Factory, agentdb_uow: UnitOfWork
) -> None:
    """People and agents speak in turn; a stream that is made up has a beginning and an end."""
    conversation = agentdb_make.conversation(key="support", messages=5, frames=4)

    transcript = await agentdb_uow.agent_messages.transcript("support")
    kinds = [(p or {})["kind"] for p in await payloads(agentdb_uow, "support")]

    assert conversation.external_key == "support"
    assert conversation.message_count == 5
    assert [(m.position, m.text) for m in transcript] == [(n, f"Message {n}") for n in range(5)]
    assert [m.role for m in transcript] == ["user", "assistant", "user", "assistant", "user"]
    assert kinds == ["lifecycle", "message.delta", "message.delta", "final"]


async def test_what_was_said_and_recorded_is_taken_as_it_is(
    agentdb_make: Factory, agentdb_uow: UnitOfWork
) -> None:
    """Messages as the verb takes them, and whole frames."""
    said = [
        NewMessage(role="user", content="Where is my order?"),
        NewMessage(role="assistant", content={"text": "On its way.", "n": 1}, latency_ms=7),
    ]
    recorded = [frame(1, tool={"tool_call_id": "t1"}), frame(2, extra=[1, None]), frame(1, "s2")]
    agentdb_make.conversation(key="c", messages=said, frames=recorded)

    first, second = await agentdb_uow.agent_messages.transcript("c")
    resumed = await agentdb_uow.conversation_ledger_events.resume("c", "s1", 1)

    assert (first.text, second.content) == ("Where is my order?", {"text": "On its way.", "n": 1})
    assert second.latency_ms == 7
    assert recorded == await payloads(agentdb_uow, "c")
    assert [item.event_id for item in resumed] == [2]


@pytest.mark.parametrize("path", recorded_streams(), ids=lambda path: path.stem)
async def test_recorded_streams_are_replayed(
    agentdb_make: Factory, agentdb_uow: UnitOfWork, path: Any
) -> None:
    """Frame by frame, in order."""
    stream = read_stream(path)
    agentdb_make.conversation(key="c", messages=2, frames=stream)

    assert stream == await payloads(agentdb_uow, "c")


async def test_the_verbs_go_on_where_the_factory_ends(
    agentdb_make: Factory, agentdb_uow: UnitOfWork
) -> None:
    """And the factory goes on where the verbs end; stamps follow that order."""
    conversation = agentdb_make.conversation(key="c", messages=2, frames=2)
    hello = NewMessage(role="user", content="Hello?")
    (appended,) = await agentdb_uow.agent_messages.append("c", [hello])
    (recorded,) = await agentdb_uow.conversation_ledger_events.append("c", frames(1))
    made = agentdb_make.agent_message(conversation=conversation)
    event = agentdb_make.conversation_ledger_event(conversation=conversation)

    transcript = [*await agentdb_uow.agent_messages.transcript("c")]
    replayed = [*await agentdb_uow.conversation_ledger_events.replay("c")]

    assert [m.position for m in transcript] == [0, 1, 2, 3]
    assert (appended.position, made.position, conversation.message_count) == (2, 3, 4)
    assert [item.id for item in replayed[2:]] == [recorded.id, event.id]
    stamps = [transcript[1].created_at, *(item.ingested_at for item in replayed[:2])]
    stamps += [appended.created_at, replayed[2].ingested_at, made.created_at, event.ingested_at]
    assert sorted(set(stamps)) == stamps


async def test_a_frame_is_what_its_columns_say(
    agentdb_make: Factory, agentdb_uow: UnitOfWork
) -> None:
    """And the columns are what a frame says that is given whole."""
    conversation = agentdb_make.agent_conversation(key="c")
    first, second = agentdb_make.conversation_ledger_event.many(
        2, conversation=conversation, kind="tool.output", tool_call_id="t1", workflow_run_id="r1"
    )
    whole = frame(9, "other", agent="triage")
    third = agentdb_make.conversation_ledger_event(conversation=conversation, payload_json=whole)

    found = await payloads(agentdb_uow, "c")

    assert [(first.event_id, first.stream_id)] == [(1, second.stream_id)]
    assert second.event_id == 2
    assert [(p or {})["event_id"] for p in found] == [1, 2, 9]
    assert [(p or {}).get("tool_call_id") for p in found] == ["t1", "t1", None]
    assert (third.stream_id, third.event_id, third.agent) == ("other", 9, "triage")
    page = await agentdb_uow.conversation_ledger_events.replay("c", workflow_run_id="r1")
    assert [item.id for item in page] == [first.id, second.id]


def test_a_frame_may_be_in_an_object(agentdb_make: Factory) -> None:
    """Then the row has no payload of its own."""
    event = agentdb_make.conversation_ledger_event(payload_object=agentdb_make.storage_object())

    assert event.payload_json is None
    assert event.payload_size_bytes is not None


def test_what_the_verbs_refuse_is_refused(agentdb_make: Factory) -> None:
    """With their errors, and nothing is stored."""
    with pytest.raises(InvalidValueError, match="frame 2"):
        agentdb_make.conversation(key="c", frames=[frame(2), frame(1)])
    with pytest.raises(InvalidValueError, match="NewMessage"):
        agentdb_make.conversation(key="c", messages=["Hello"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType] -- what is refused
    with pytest.raises(InvalidValueError, match="begin"):
        agentdb_make.conversation(key=f"{agentdb_make.tenant.id}:c")
    agentdb_make.conversation(key="c")
    with pytest.raises(DuplicateError):
        agentdb_make.conversation(key="c")


async def test_a_new_segment_hides_nothing(agentdb_make: Factory, agentdb_uow: UnitOfWork) -> None:
    """The one before it ends after its last message and frame."""
    conversation = agentdb_make.conversation(key="c", messages=2, frames=2)
    segment = agentdb_make.conversation_ledger_segment(conversation=conversation)
    agentdb_make.agent_message(conversation=conversation)
    hidden = agentdb_make.conversation_ledger_segment(
        conversation=conversation, truncated_at=segment.created_at
    )

    active = await agentdb_uow.conversation_ledger_segments.active("c")
    transcript = await agentdb_uow.agent_messages.transcript("c")

    assert (active.id, active.segment_index) == (segment.id, 1)
    assert active.parent_segment_id is not None
    assert [m.position for m in transcript] == [0, 1, 2]
    assert len(await payloads(agentdb_uow, "c")) == 2
    assert (hidden.visible_through_message_position, hidden.visible_through_event_id) == (-1, 0)


def test_a_segment_follows_truncated_ones(agentdb_make: Factory) -> None:
    """Where none is active there is none to end."""
    first = agentdb_make.conversation_ledger_segment(truncated_at=EPOCH)
    second = agentdb_make.conversation_ledger_segment(conversation_id=first.conversation_id)

    assert (second.segment_index, second.parent_segment_id) == (1, first.id)
    assert second.truncated_at is None


def test_a_queue_has_one_head(agentdb_make: Factory) -> None:
    """What waits comes behind it, and what a status implies is filled in."""
    conversation = agentdb_make.agent_conversation()
    make = agentdb_make.conversation_run_queue_item
    done = make(conversation=conversation, status=QueueItemStatus.COMPLETED)
    items = make.many(3, conversation=conversation)
    running = make(status="running")

    assert [i.status for i in items] == ["ready", "queued", "queued"]
    assert (done.attempt_count, running.attempt_count, items[0].attempt_count) == (1, 1, 0)
    assert None not in (done.started_at, done.completed_at, running.started_at)
    assert make(status="failed").error_json is not None
    assert make(status="cancelled").cancelled_at is not None


def test_usage_adds_to_the_totals(agentdb_make: Factory) -> None:
    """As recording a run does; they stay at the largest number of their column."""
    conversation = agentdb_make.agent_conversation()
    first = agentdb_make.agent_run_usage(conversation=conversation, cached_input_tokens=4)
    agentdb_make.agent_run_usage(conversation=conversation, input_tokens=2**31 - 1, output_tokens=0)

    assert (first.input_tokens, first.output_tokens, first.total_tokens) == (10, 5, 15)
    assert conversation.total_tokens_prompt == 2**31 - 1
    assert (conversation.total_tokens_completion, conversation.total_requests) == (5, 2)
    assert conversation.total_cached_input_tokens == 4


def test_run_events_are_numbered(agentdb_make: Factory) -> None:
    """From 0 within the conversation."""
    conversation = agentdb_make.agent_conversation()
    events = agentdb_make.agent_run_event.many(3, conversation=conversation)

    assert [event.sequence_no for event in events] == [0, 1, 2]


STEPS = st.lists(
    st.tuples(st.sampled_from(["message", "frame", "segment", "item", "usage"]), st.integers(1, 3)),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, messages=st.integers(0, 4), count=st.integers(0, 4))
def test_a_conversation_stays_whole_whatever_is_made(
    agentdb_sync_connection: Connection,
    steps: list[tuple[str, int]],
    messages: int,
    count: int,
) -> None:
    """Positions without gaps that are counted, one active segment, stamps in order."""
    with agentdb_sync_connection.begin_nested() as nested:
        factory = Factory(agentdb_sync_connection)
        conversation = factory.conversation(messages=messages, frames=count)
        makers: dict[str, Any] = {
            "message": factory.agent_message,
            "frame": factory.conversation_ledger_event,
            "segment": factory.conversation_ledger_segment,
            "item": factory.conversation_run_queue_item,
            "usage": factory.agent_run_usage,
        }
        stamps: list[Any] = []
        for name, number in steps:
            rows = makers[name].many(number, conversation=conversation)
            stamps += [
                getattr(row, "ingested_at", row.created_at) for row in rows if name == "message"
            ]
        check(agentdb_sync_connection, conversation)
        nested.rollback()

    assert sorted(set(stamps)) == stamps


def check(connection: Connection, conversation: AgentConversation) -> None:
    """Compare the tables of a conversation with each other."""
    said = table_of(AgentMessage)
    told, segments = table_of(ConversationLedgerEvent), table_of(ConversationLedgerSegment)
    positions = connection.scalars(select(said.c.position).order_by(said.c.position)).all()
    open_ones = connection.scalars(select(segments.c.id).where(segments.c.truncated_at.is_(None)))
    indexes = connection.scalars(select(segments.c.segment_index)).all()
    numbers = connection.execute(select(told.c.stream_id, told.c.event_id)).all()
    stamps = [
        *connection.scalars(select(said.c.created_at)),
        *connection.scalars(select(told.c.ingested_at)),
    ]

    assert [*range(conversation.message_count)] == [*positions]
    assert sorted(indexes) == [*range(len(indexes))]
    assert len(open_ones.all()) == min(1, len(indexes))
    assert len(numbers) == len(set(numbers))
    assert len(stamps) == len(set(stamps))
    if positions:
        newest = select(said.c.created_at).order_by(said.c.position.desc()).limit(1)
        assert connection.scalar(newest) == conversation.last_message_at
