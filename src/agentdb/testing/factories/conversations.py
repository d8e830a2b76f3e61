"""What the verbs keep true of conversations: positions, segments, stamps, totals, the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agentdb.conversations.models import (
    AgentConversation,
    AgentMessage,
    AgentRunEvent,
    AgentRunUsage,
)
from agentdb.conversations.refs import stored_key
from agentdb.conversations.values import MessageRole
from agentdb.ledger.frames import read_frames
from agentdb.ledger.models import (
    ConversationLedgerEvent,
    ConversationLedgerSegment,
    ConversationRunQueueItem,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.orm import Base
from agentdb.testing.factories.drafts import Draft
from agentdb.testing.factories.frames import frame_of, is_whole
from agentdb.unit import TICK

MAX_TOTAL = 2**31 - 1
"""Where the totals of a conversation stay."""


@dataclass
class Tail:
    """Where a conversation ends.

    Attributes:
        conversation: The conversation, locked.
        segment: Its active segment.
        newest: The newest stamp of a message or frame.
    """

    conversation: AgentConversation
    segment: ConversationLedgerSegment
    newest: datetime | None

    @classmethod
    def of(cls, draft: Draft, key: object) -> Tail:
        """Return the end of a conversation, its first segment opened if there is none."""
        conversation = draft.lock(AgentConversation, key)
        segment = active_segment(draft.session, conversation)
        if segment is None:
            segment = draft.maker.make(ConversationLedgerSegment, conversation=conversation)
        said = select(func.max(AgentMessage.created_at)).where(
            AgentMessage.conversation_id == conversation.id
        )
        recorded = select(func.max(ConversationLedgerEvent.ingested_at)).where(
            ConversationLedgerEvent.conversation_id == conversation.id
        )
        stamps = [draft.session.scalar(said), draft.session.scalar(recorded)]
        return cls(conversation, segment, max(filter(None, stamps), default=None))

    def stamp(self, at: datetime) -> datetime:
        """Return *at*, or the instant after the newest stamp if that is later."""
        self.newest = at if self.newest is None else max(at, self.newest + TICK)
        return self.newest


def count_message(conversation: AgentConversation, position: int, at: datetime) -> None:
    """Note in its conversation that a message stands at a position."""
    conversation.message_count = max(conversation.message_count, position + 1)
    conversation.last_message_at = conversation.updated_at = at


def active_segment(
    session: Session, conversation: AgentConversation
) -> ConversationLedgerSegment | None:
    """Return the segment of a conversation that is not truncated."""
    segment = ConversationLedgerSegment
    mine = segment.conversation_id == conversation.id, segment.truncated_at.is_(None)
    return session.scalars(select(segment).where(*mine)).one_or_none()


def role_at(position: int) -> MessageRole:
    """Return who speaks: people and agents take turns."""
    return MessageRole.ASSISTANT if position % 2 else MessageRole.USER


def _conversation(draft: Draft) -> None:
    key = draft.values.pop("key", None) or f"conversation-{draft.label}"
    if draft.tenant is not None:
        draft.default("conversation_key", stored_key(draft.tenant, key))


def _segment(draft: Draft) -> None:
    """The new segment is the active one; the one before it ends here, and all stays visible."""
    conversation = draft.lock(AgentConversation, draft.values["conversation_id"])
    newest = ConversationLedgerSegment.segment_index.desc()
    mine = ConversationLedgerSegment.conversation_id == conversation.id
    latest = draft.session.scalars(
        select(ConversationLedgerSegment).where(mine).order_by(newest).limit(1)
    ).one_or_none()
    draft.default("segment_index", 0 if latest is None else latest.segment_index + 1)
    if draft.has("truncated_at"):
        draft.default("visible_through_message_position", -1)
        draft.default("visible_through_event_id", 0)
    elif latest is not None:
        draft.default("parent_segment_id", latest.id)
        _cut(draft, conversation)


def _cut(draft: Draft, conversation: AgentConversation) -> None:
    segment = active_segment(draft.session, conversation)
    if segment is None:
        return
    mine = ConversationLedgerEvent.conversation_id == conversation.id
    last = draft.session.scalar(select(func.max(ConversationLedgerEvent.id)).where(mine))
    segment.truncated_at = segment.updated_at = draft.at
    segment.visible_through_message_position = conversation.message_count - 1
    segment.visible_through_event_id = last or 0
    draft.session.flush()  # before there is a second active one


def _message(draft: Draft) -> None:
    tail = Tail.of(draft, draft.values["conversation_id"])
    position: int = draft.default("position", tail.conversation.message_count)
    draft.default("segment_id", tail.segment.id)
    draft.default("role", role_at(position))
    draft.default("content", {"text": f"Message {position}"})
    draft.default("created_at", tail.stamp(draft.at))


def _count(draft: Draft, row: AgentMessage) -> None:
    conversation = draft.lock(AgentConversation, row.conversation_id)
    count_message(conversation, row.position, row.created_at)


def _frame(draft: Draft) -> None:
    """The columns of a frame are what it says itself."""
    tail = Tail.of(draft, draft.values["conversation_id"])
    draft.default("segment_id", tail.segment.id)
    draft.default("ingested_at", tail.stamp(draft.at))
    frame = draft.values.get("payload_json")
    if not is_whole(frame):
        _number(draft)
        frame = frame_of(draft.values, draft.at)
    (columns,) = read_frames([frame])
    kept = draft.has("payload_object_id") or "payload_json" in draft.values
    columns["payload_json"] = draft.values.get("payload_json") if kept else frame
    for name, value in columns.items():
        draft.default(name, value)


def _number(draft: Draft) -> None:
    """Go on with the newest stream of the conversation, or begin one."""
    event = ConversationLedgerEvent
    mine = event.conversation_id == draft.values["conversation_id"]
    newest = select(event.stream_id).where(mine).order_by(event.id.desc()).limit(1)
    stream = draft.session.scalar(newest) or f"stream-{draft.label}"
    same = event.stream_id == draft.default("stream_id", stream)
    last = draft.session.scalar(select(func.max(event.event_id)).where(mine, same))
    draft.default("event_id", (last or 0) + 1)


def _run_event(draft: Draft) -> None:
    conversation = draft.lock(AgentConversation, draft.values["conversation_id"])
    mine = AgentRunEvent.conversation_id == conversation.id
    last = draft.session.scalar(select(func.max(AgentRunEvent.sequence_no)).where(mine))
    draft.default("sequence_no", 0 if last is None else last + 1)


def _usage(draft: Draft) -> None:
    draft.default("response_id", f"resp-{draft.label}")
    draft.default("requests", 1)
    given = draft.default("input_tokens", 10), draft.default("output_tokens", 5)
    draft.default("total_tokens", sum(filter(None, given)))


def _add_up(draft: Draft, row: AgentRunUsage) -> None:
    """The totals of a conversation are those of its runs."""
    conversation = draft.lock(AgentConversation, row.conversation_id)
    for total, part in _TOTALS.items():
        added = getattr(conversation, total) + (getattr(row, part) or 0)
        setattr(conversation, total, min(added, MAX_TOTAL))
    conversation.updated_at = draft.at


_TOTALS = {
    "total_tokens_prompt": "input_tokens",
    "total_tokens_completion": "output_tokens",
    "reasoning_tokens": "reasoning_output_tokens",
    "total_cached_input_tokens": "cached_input_tokens",
    "total_requests": "requests",
}


def _queue_item(draft: Draft) -> None:
    """The first unfinished item is the head; what a status implies is filled in."""
    tail = Tail.of(draft, draft.values["conversation_id"])
    item, ready = ConversationRunQueueItem, QueueItemStatus.READY
    heads = item.status.in_([ready, QueueItemStatus.RUNNING])
    mine = item.conversation_id == tail.conversation.id
    head = draft.session.scalars(select(item.id).where(mine, heads)).first()
    status = draft.default("status", ready if head is None else QueueItemStatus.QUEUED)
    draft.default("segment_id", tail.segment.id)
    for name in _QUEUE_STAMPS.get(status, ()):
        draft.default(name, draft.at)
    if "started_at" in _QUEUE_STAMPS.get(status, ()):
        draft.default("attempt_count", 1)
    if status == QueueItemStatus.FAILED:
        draft.default("error_json", {"code": "failed"})


_QUEUE_STAMPS: dict[str, tuple[str, ...]] = {
    QueueItemStatus.RUNNING: ("started_at",),
    QueueItemStatus.COMPLETED: ("started_at", "completed_at"),
    QueueItemStatus.FAILED: ("started_at", "completed_at"),
    QueueItemStatus.CANCELLED: ("cancelled_at",),
}

BEFORE_CONVERSATIONS: dict[type[Base], Callable[[Draft], None]] = {
    AgentConversation: _conversation,
    AgentMessage: _message,
    AgentRunEvent: _run_event,
    AgentRunUsage: _usage,
    ConversationLedgerEvent: _frame,
    ConversationLedgerSegment: _segment,
    ConversationRunQueueItem: _queue_item,
}
AFTER_CONVERSATIONS: dict[type[Base], Callable[[Draft, Any], None]] = {
    AgentMessage: _count,
    AgentRunUsage: _add_up,
}
