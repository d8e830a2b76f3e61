"""The replayable stream of a conversation, and the queue of its runs."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import (
    BigInt,
    Instant,
    Int,
    JsonDict,
    RowNumber,
    Str32,
    Str64,
    Str128,
    Str255,
    UuidRef,
)
from agentdb.ledger.values import LedgerSchemaVersion, QueueItemStatus
from agentdb.orm import Base, NumberKey, Tenancy, Timestamps, UuidKey, partial
from agentdb.types import UTC_NOW, Choice


class ConversationLedgerSegment(UuidKey, Timestamps, Base):
    """A stretch of a conversation between two truncations; exactly one is active."""

    __tablename__ = "conversation_ledger_segments"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("conversation_id", "segment_index"),
        Index(
            "ix_conversation_ledger_segments_conversation_truncated",
            "conversation_id",
            "truncated_at",
        ),
        partial(
            "uq_conversation_ledger_segments_active",
            "conversation_id",
            where="truncated_at IS NULL",
            unique=True,
        ),
        Index("ix_conversation_ledger_segments_tenant_id", "tenant_id"),
        partial(
            "ix_conversation_ledger_segments_parent_segment_id",
            "parent_segment_id",
            where="parent_segment_id IS NOT NULL",
        ),
        partial(
            "ix_conversation_ledger_segments_truncated",
            "truncated_at",
            "id",
            where="truncated_at IS NOT NULL",
        ),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    segment_index: Mapped[Int]
    """From 0 within the conversation."""
    parent_segment_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("conversation_ledger_segments.id", ondelete="SET NULL"), default=None
    )
    """The segment that a truncation cut to make this one."""
    visible_through_event_id: Mapped[RowNumber | None] = mapped_column(default=None)
    """The last frame still visible, 0 for none. No foreign key: the bound holds when the frame
    is purged."""
    visible_through_message_position: Mapped[Int | None] = mapped_column(default=None)
    """The last message still visible, -1 for none."""
    truncated_at: Mapped[Instant | None] = mapped_column(default=None)
    """NULL: the segment is active."""


class ConversationLedgerEvent(NumberKey, Base):
    """A frame as a client received it. Appended, never changed; replayed in the order of its id."""

    __tablename__ = "conversation_ledger_events"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint(
            "conversation_id", "stream_id", "event_id", name="uq_conversation_ledger_events_frame"
        ),
        CheckConstraint(
            "payload_json IS NOT NULL OR payload_object_id IS NOT NULL", name="payload_present"
        ),
        Index(
            "ix_conversation_ledger_events_tenant_conversation_id_id",
            "tenant_id",
            "conversation_id",
            "id",
        ),
        Index("ix_conversation_ledger_events_tool_call_id", "tool_call_id"),
        Index("ix_conversation_ledger_events_item_id", "item_id"),
        Index("ix_conversation_ledger_events_segment_id", "segment_id", "id"),
        partial(
            "ix_conversation_ledger_events_payload_object_id",
            "payload_object_id",
            where="payload_object_id IS NOT NULL",
        ),
        partial(
            "ix_conversation_ledger_events_workflow_run",
            "workflow_run_id",
            "id",
            where="workflow_run_id IS NOT NULL",
        ),
        partial(
            "ix_conversation_ledger_events_citation",
            "conversation_id",
            "id",
            where="kind = 'message.citation'",
        ),
        {"sqlite_autoincrement": True},
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    segment_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("conversation_ledger_segments.id", ondelete="CASCADE")
    )
    schema_version: Mapped[Str32] = mapped_column(default=LedgerSchemaVersion.PUBLIC_SSE_V1)
    kind: Mapped[Str64]
    stream_id: Mapped[Str255]
    event_id: Mapped[Int]
    """The number within the stream, given by the producer."""
    server_timestamp: Mapped[Instant]
    response_id: Mapped[Str128 | None] = mapped_column(default=None)
    agent: Mapped[Str64 | None] = mapped_column(default=None)
    workflow_run_id: Mapped[Str64 | None] = mapped_column(default=None)
    """No foreign key: frames keep the id of a deleted run."""
    provider_sequence_number: Mapped[Int | None] = mapped_column(default=None)
    output_index: Mapped[Int | None] = mapped_column(default=None)
    item_id: Mapped[Str255 | None] = mapped_column(default=None)
    content_index: Mapped[Int | None] = mapped_column(default=None)
    tool_call_id: Mapped[Str255 | None] = mapped_column(default=None)
    payload_size_bytes: Mapped[BigInt | None] = mapped_column(default=None)
    """Bytes of the whole frame as compact UTF-8 JSON, wherever it is stored."""
    payload_json: Mapped[JsonDict | None] = mapped_column(default=None)
    """The whole frame, as received; NULL where it is in an object."""
    payload_object_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("storage_objects.id", ondelete="SET NULL"), default=None
    )
    """The object with the gzipped frame, for frames above the inline limit."""
    ingested_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)


class ConversationRunQueueItem(NumberKey, Base):
    """A run that waits for, or holds, its conversation; at most one item is ready or running.

    Lease and fencing have no columns of their own: ``started_at`` and ``attempt_count`` serve.
    """

    __tablename__ = "conversation_run_queue_items"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        Index(
            "ix_conversation_run_queue_items_conversation_status_id",
            "conversation_id",
            "status",
            "id",
        ),
        Index(
            "ix_conversation_run_queue_items_tenant_conversation_status_id",
            "tenant_id",
            "conversation_id",
            "status",
            "id",
        ),
        partial(
            "uq_conversation_run_queue_items_head",
            "conversation_id",
            where="status IN ('ready', 'running')",
            unique=True,
        ),
        partial(
            "ix_conversation_run_queue_items_segment_id",
            "segment_id",
            where="segment_id IS NOT NULL",
        ),
        partial(
            "ix_conversation_run_queue_items_created_by_user_id",
            "created_by_user_id",
            where="created_by_user_id IS NOT NULL",
        ),
        partial("ix_conversation_run_queue_items_ready", "id", where="status = 'ready'"),
        partial(
            "ix_conversation_run_queue_items_lease", "started_at", "id", where="status = 'running'"
        ),
        {"sqlite_autoincrement": True},
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    segment_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("conversation_ledger_segments.id", ondelete="SET NULL"), default=None
    )
    created_by_user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    status: Mapped[str] = mapped_column(
        Choice(tuple(QueueItemStatus), 16), default=QueueItemStatus.QUEUED
    )
    attempt_count: Mapped[Int] = mapped_column(default=0)
    """Also the fencing token: only the current attempt may write."""
    payload_json: Mapped[JsonDict]
    error_json: Mapped[JsonDict | None] = mapped_column(default=None)
    """The error of the last attempt that failed."""
    created_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    started_at: Mapped[Instant | None] = mapped_column(default=None)
    """The last sign of life, refreshed by heartbeats; the lease ends a fixed time after it."""
    completed_at: Mapped[Instant | None] = mapped_column(default=None)
    cancelled_at: Mapped[Instant | None] = mapped_column(default=None)
