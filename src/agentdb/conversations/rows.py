"""What goes into the hot verbs of conversations, and what comes out: plain rows, no entities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from agentdb.conversations.models import AgentConversation

ConversationRef = UUID | str
"""A conversation: its id, or its external key. Text is never read as a UUID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to append.

    Attributes:
        role: ``user``, ``assistant`` or ``system``.
        content: Text becomes ``{"text": …}``; an object is stored as it is.
        attachments: Objects that belong to the message, each a JSON object.
        latency_ms: Milliseconds that the answer took.
        created_at: For imports alone: else the append stamps it.
    """

    role: str
    content: str | dict[str, Any]
    attachments: tuple[dict[str, Any], ...] | list[dict[str, Any]] = ()
    agent_type: str | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    token_count_prompt: int | None = None
    token_count_completion: int | None = None
    reasoning_tokens: int | None = None
    latency_ms: int | None = None
    content_checksum: str | None = None
    run_id: str | None = None
    created_at: datetime | None = None


class MessageRow(NamedTuple):
    """A stored message; the columns of ``agent_messages``."""

    id: int
    conversation_id: UUID
    segment_id: UUID
    position: int
    role: str
    agent_type: str | None
    content: dict[str, Any]
    attachments: list[dict[str, Any]]
    tool_name: str | None
    tool_call_id: str | None
    token_count_prompt: int | None
    token_count_completion: int | None
    reasoning_tokens: int | None
    latency_ms: int | None
    content_checksum: str | None
    run_id: str | None
    created_at: datetime

    @property
    def text(self) -> str | None:
        """The plain text of the message; None where the content has none."""
        text = self.content.get("text")
        return text if isinstance(text, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRunEvent:
    """An item of an agent run.

    Attributes:
        run_item_type: What kind of item it is.
        response_id: The provider's response that it came with; what a retry is known by.
        call_arguments: Arguments of a tool call; what is no object becomes ``{"value": …}``.
        call_output: Its output, likewise.
        sequence_no: For imports alone: else the append numbers it.
    """

    run_item_type: str
    response_id: str | None = None
    run_item_name: str | None = None
    role: str | None = None
    agent: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    model: str | None = None
    content_text: str | None = None
    reasoning_text: str | None = None
    call_arguments: Any = None
    call_output: Any = None
    attachments: list[dict[str, Any]] | None = None
    sequence_no: int | None = None
    created_at: datetime | None = None


class ConversationFields(TypedDict, total=False):
    """Optional columns of a new conversation."""

    active_agent: str | None
    provider: str | None
    provider_conversation_id: str | None
    source_channel: str | None
    topic_hint: str | None
    display_name: str | None
    memory_strategy: str | None
    memory_max_turns: int | None
    memory_keep_last_turns: int | None
    memory_compact_trigger_turns: int | None
    memory_compact_keep: int | None
    memory_clear_tool_inputs: bool | None
    memory_injection: bool | None
    client_version: str | None
    sdk_session_id: str | None


class RunMetadata(TypedDict, total=False):
    """What a run tells of its conversation; what is not given stays as it is."""

    active_agent: str | None
    provider: str | None
    provider_conversation_id: str | None
    source_channel: str | None
    topic_hint: str | None
    last_run_id: str | None
    client_version: str | None


class MemoryFields(TypedDict, total=False):
    """How an agent remembers a conversation; what is not given stays as it is."""

    memory_strategy: str | None
    memory_max_turns: int | None
    memory_keep_last_turns: int | None
    memory_compact_trigger_turns: int | None
    memory_compact_keep: int | None
    memory_clear_tool_inputs: bool | None
    memory_injection: bool | None


class SessionState(TypedDict, total=False):
    """Where a session of the provider or its SDK stands; what is not given stays as it is."""

    provider: str | None
    provider_conversation_id: str | None
    sdk_session_id: str | None
    session_cursor: str | None
    last_session_sync_at: datetime | None


class SummaryFields(TypedDict, total=False):
    """Optional columns of a new summary."""

    summary_model: str | None
    summary_length_tokens: int | None
    expires_at: datetime | None
    version: str | None


class SummaryOf(TypedDict, total=False):
    """Whose summary is wanted: not given, that of any agent; None, one that is for all."""

    agent_key: str | None


class UsageFields(TypedDict, total=False):
    """What a run has consumed.

    Numbers below 0 count as 0. ``requests`` is 1 unless given, ``total_tokens`` the sum of input
    and output where both, or one of them, are.
    """

    run_id: str | None
    agent_key: str | None
    provider: str | None
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cached_input_tokens: int | None
    reasoning_output_tokens: int | None
    request_usage_entries: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """The sums of a group of runs.

    Attributes:
        key: The agent, the provider or the UTC day of the group; None for those that name none,
            and where all runs are one group.
        runs: How many there are.
    """

    key: str | date | None
    runs: int
    requests: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int
    reasoning_output_tokens: int


class ConversationPreview(NamedTuple):
    """A conversation as a list shows it.

    Attributes:
        conversation: The conversation.
        preview: The beginning of its last visible text, at most 160 characters; None where it has
            none, or none was asked for.
    """

    conversation: AgentConversation
    preview: str | None


class Hit(NamedTuple):
    """A conversation that a search has found.

    Attributes:
        conversation: The conversation.
        message_id: The message that matches best; among equals the last one.
        score: How well, for comparisons within one search; 1 for every hit on SQLite.
    """

    conversation: AgentConversation
    message_id: int
    score: float
