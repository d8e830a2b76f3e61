"""Conversations with agents: messages, summaries, run events, usage."""

from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agentdb.columns import (
    Bool,
    Instant,
    Int,
    JsonDict,
    JsonList,
    LongText,
    Str,
    Str32,
    Str64,
    Str128,
    Str255,
    Str256,
    UuidRef,
)
from agentdb.conversations.values import ConversationStatus, MemoryStrategy, MessageRole
from agentdb.orm import Base, Created, NumberKey, Tenancy, Timestamps, UuidKey, partial
from agentdb.types import UTC_NOW, Choice

# Bounded: unbounded, the words of a message of about 1 MB exceed what a tsvector holds
# (https://www.postgresql.org/docs/current/textsearch-limitations.html) and the insert fails.
SEARCHED_TEXT = "to_tsvector('english', left(coalesce(content->>'text', ''), 100000))"


class AgentConversation(UuidKey, Timestamps, Base):
    """A conversation of a tenant with its agents, made by the first message.

    Deleting it takes messages, frames, summaries, usage and queue with it.
    """

    __tablename__ = "agent_conversations"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("conversation_key"),
        UniqueConstraint("provider_conversation_id"),
        Index("ix_agent_conversations_tenant_updated", "tenant_id", "updated_at"),
        Index("ix_agent_conversations_tenant_status", "tenant_id", "status"),
        partial(
            "ix_agent_conversations_user_id",
            "user_id",
            "updated_at",
            "id",
            where="user_id IS NOT NULL",
        ),
    )

    conversation_key: Mapped[Str255]
    """``<tenant id>:<external key>``: unique across tenants, and never changed, as runs refer to
    it."""
    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    agent_entrypoint: Mapped[Str64]
    active_agent: Mapped[Str64 | None] = mapped_column(default=None)
    status: Mapped[str] = mapped_column(
        Choice(tuple(ConversationStatus), 16), default=ConversationStatus.ACTIVE
    )
    message_count: Mapped[Int] = mapped_column(default=0)
    """Messages ever appended, which is the position of the next one."""
    total_tokens_prompt: Mapped[Int] = mapped_column(default=0)
    """Totals stay at the largest 32-bit integer once there; exact figures are in
    ``agent_run_usage``."""
    total_tokens_completion: Mapped[Int] = mapped_column(default=0)
    reasoning_tokens: Mapped[Int] = mapped_column(default=0)
    total_cached_input_tokens: Mapped[Int] = mapped_column(default=0)
    total_requests: Mapped[Int] = mapped_column(default=0)
    provider: Mapped[Str32 | None] = mapped_column(default=None)
    provider_conversation_id: Mapped[Str128 | None] = mapped_column(default=None)
    handoff_count: Mapped[Int] = mapped_column(default=0)
    source_channel: Mapped[Str32 | None] = mapped_column(default=None)
    topic_hint: Mapped[Str256 | None] = mapped_column(default=None)
    display_name: Mapped[Str128 | None] = mapped_column(default=None)
    title_generated_at: Mapped[Instant | None] = mapped_column(default=None)
    """When a model made ``display_name``."""
    memory_strategy: Mapped[str | None] = mapped_column(
        Choice(tuple(MemoryStrategy), 16), default=None
    )
    memory_max_turns: Mapped[Int | None] = mapped_column(default=None)
    memory_keep_last_turns: Mapped[Int | None] = mapped_column(default=None)
    memory_compact_trigger_turns: Mapped[Int | None] = mapped_column(default=None)
    memory_compact_keep: Mapped[Int | None] = mapped_column(default=None)
    memory_clear_tool_inputs: Mapped[Bool | None] = mapped_column(default=None)
    memory_injection: Mapped[Bool | None] = mapped_column(default=None)
    last_message_at: Mapped[Instant | None] = mapped_column(default=None)
    last_run_id: Mapped[Str64 | None] = mapped_column(default=None)
    client_version: Mapped[Str32 | None] = mapped_column(default=None)
    sdk_session_id: Mapped[Str255 | None] = mapped_column(default=None)
    session_cursor: Mapped[Str128 | None] = mapped_column(default=None)
    """The SDK session's own position."""
    last_session_sync_at: Mapped[Instant | None] = mapped_column(default=None)

    messages: Mapped[list["AgentMessage"]] = relationship(
        back_populates="conversation",
        order_by="AgentMessage.position",
        lazy="raise",
        passive_deletes="all",
        init=False,
        repr=False,
    )

    @property
    def external_key(self) -> str:
        """The key by which the host knows the conversation."""
        return self.conversation_key.removeprefix(f"{self.tenant_id}:")


class AgentMessage(NumberKey, Created, Base):
    """A message of a conversation. Never changed; hidden when its segment is truncated."""

    __tablename__ = "agent_messages"
    __tenancy__ = Tenancy.via("conversation_id", "agent_conversations")
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - annotated, it would be a field
    __table_args__ = (
        UniqueConstraint("conversation_id", "position"),
        Index("ix_agent_messages_conversation_created", "conversation_id", "created_at"),
        Index("ix_agent_messages_segment_id", "segment_id", "position"),
        Index("ix_agent_messages_text_tsv", "text_tsv", postgresql_using="gin"),
        {"sqlite_autoincrement": True},
    )

    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    segment_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("conversation_ledger_segments.id", ondelete="CASCADE")
    )
    position: Mapped[Int]
    """From 0, without gaps; the order of the conversation, whatever the clocks say."""
    role: Mapped[str] = mapped_column(Choice(tuple(MessageRole), 16))
    agent_type: Mapped[Str64 | None] = mapped_column(default=None)
    content: Mapped[JsonDict]
    """Plain text is stored as ``{"text": ...}``, the key that the search reads."""
    attachments: Mapped[JsonList | None] = mapped_column(insert_default=list, default_factory=list)
    """NULL reads as an empty list."""
    tool_name: Mapped[Str128 | None] = mapped_column(default=None)
    tool_call_id: Mapped[Str64 | None] = mapped_column(default=None)
    token_count_prompt: Mapped[Int | None] = mapped_column(default=None)
    token_count_completion: Mapped[Int | None] = mapped_column(default=None)
    reasoning_tokens: Mapped[Int | None] = mapped_column(default=None)
    latency_ms: Mapped[Int | None] = mapped_column(default=None)
    content_checksum: Mapped[Str32 | None] = mapped_column(default=None)
    run_id: Mapped[Str64 | None] = mapped_column(default=None)
    """The host's id of the run; no table of runs is meant."""
    text_tsv: Mapped[str | None] = mapped_column(
        TSVECTOR(),
        Computed(SEARCHED_TEXT, persisted=True),
        deferred=True,
        deferred_raiseload=True,
        init=False,
    )
    """The words of the text, kept by PostgreSQL; SQLite has no such column and never reads it."""

    conversation: Mapped[AgentConversation] = relationship(
        back_populates="messages", lazy="raise", init=False, repr=False
    )


class ConversationSummary(NumberKey, Created, Base):
    """A summary that stands in for older messages; the newest counts.

    The others are history, until a truncation deletes them all.
    """

    __tablename__ = "conversation_summaries"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        Index(
            "ix_conversation_summaries_conversation_id",
            "conversation_id",
            "agent_key",
            "created_at",
            "id",
        ),
        partial(
            "ix_conversation_summaries_expires", "expires_at", "id", where="expires_at IS NOT NULL"
        ),
        {"sqlite_autoincrement": True},
    )

    tenant_id: Mapped[UuidRef]
    """No foreign key: the conversation's takes the row with it."""
    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    agent_key: Mapped[Str64 | None] = mapped_column(default=None)
    """The agent that the summary is for; NULL: all."""
    summary_text: Mapped[LongText]
    summary_model: Mapped[Str64 | None] = mapped_column(default=None)
    summary_length_tokens: Mapped[Int | None] = mapped_column(default=None)
    expires_at: Mapped[Instant | None] = mapped_column(default=None)
    version: Mapped[Str32 | None] = mapped_column(default=None)


class AgentRunEvent(NumberKey, Base):
    """One item of an agent run, kept for audits: truncation does not hide it. Purged by age."""

    __tablename__ = "agent_run_events"
    __tenancy__ = Tenancy.via("conversation_id", "agent_conversations")
    __table_args__ = (
        UniqueConstraint("conversation_id", "sequence_no"),
        Index("ix_agent_run_events_conv_seq", "conversation_id", "sequence_no"),
        Index("ix_agent_run_events_toolcall", "tool_call_id"),
        Index(
            "ix_agent_run_events_conv_type_seq", "conversation_id", "run_item_type", "sequence_no"
        ),
        Index("ix_agent_run_events_workflow_run", "workflow_run_id"),
        Index("ix_agent_run_events_workflow_run_seq", "workflow_run_id", "sequence_no"),
        Index("ix_agent_run_events_ingested", "ingested_at", "id"),
        {"sqlite_autoincrement": True},
    )

    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    workflow_run_id: Mapped[Str64 | None] = mapped_column(
        ForeignKey("workflow_runs.id", ondelete="SET NULL"), default=None
    )
    sequence_no: Mapped[Int]
    """From 0, without gaps within the conversation."""
    response_id: Mapped[Str128 | None] = mapped_column(default=None)
    run_item_type: Mapped[Str64]
    run_item_name: Mapped[Str128 | None] = mapped_column(default=None)
    role: Mapped[str | None] = mapped_column(Choice(tuple(MessageRole), 16), default=None)
    agent: Mapped[Str64 | None] = mapped_column(default=None)
    tool_call_id: Mapped[Str128 | None] = mapped_column(default=None)
    tool_name: Mapped[Str128 | None] = mapped_column(default=None)
    model: Mapped[Str64 | None] = mapped_column(default=None)
    content_text: Mapped[Str | None] = mapped_column(default=None)
    reasoning_text: Mapped[Str | None] = mapped_column(default=None)
    call_arguments: Mapped[JsonDict | None] = mapped_column(default=None)
    """What is no JSON object is stored as ``{"value": ...}``; so are outputs."""
    call_output: Mapped[JsonDict | None] = mapped_column(default=None)
    attachments: Mapped[JsonList | None] = mapped_column(default=None)
    created_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    ingested_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)


class AgentRunUsage(NumberKey, Created, Base):
    """What one run has consumed. Never changed; the conversation's totals add it once."""

    __tablename__ = "agent_run_usage"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("response_id"),
        Index("ix_agent_run_usage_conversation_created", "conversation_id", "created_at"),
        Index("ix_agent_run_usage_tenant_created", "tenant_id", "created_at"),
        Index("ix_agent_run_usage_response", "response_id"),
        {"sqlite_autoincrement": True},
    )

    tenant_id: Mapped[UuidRef]
    """No foreign key: the conversation's takes the row with it."""
    conversation_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="CASCADE")
    )
    response_id: Mapped[Str128 | None] = mapped_column(default=None)
    """The provider's id; a repeated one records nothing."""
    run_id: Mapped[Str64 | None] = mapped_column(default=None)
    agent_key: Mapped[Str64 | None] = mapped_column(default=None)
    provider: Mapped[Str32 | None] = mapped_column(default=None)
    requests: Mapped[Int | None] = mapped_column(default=None)
    input_tokens: Mapped[Int | None] = mapped_column(default=None)
    output_tokens: Mapped[Int | None] = mapped_column(default=None)
    total_tokens: Mapped[Int | None] = mapped_column(default=None)
    cached_input_tokens: Mapped[Int | None] = mapped_column(default=None)
    reasoning_output_tokens: Mapped[Int | None] = mapped_column(default=None)
    request_usage_entries: Mapped[JsonList | None] = mapped_column(default=None)
