"""Schemas of conversations, messages, summaries, run events and usage."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from agentdb.columns import (
    Bool,
    Int,
    JsonDict,
    LongText,
    RowNumber,
    Str,
    Str16,
    Str32,
    Str64,
    Str128,
    Str255,
    Str256,
    UuidRef,
)
from agentdb.conversations.values import ConversationStatus, MemoryStrategy, MessageRole
from agentdb.schema import AwareInstant, CreateSchema, Name128, ReadSchema, Shaped, json_shape
from agentdb.types import utc_now


@json_shape
class MessageContent(TypedDict, total=False):
    """What a message says, in whatever form the host gives it."""

    text: str
    """What the search reads."""


@json_shape
class Attachment(TypedDict, total=False):
    """A file that goes with a message."""

    object_id: str
    """The stored object, as the host names it."""
    filename: str
    mime_type: str | None
    size_bytes: int | None
    url: str | None
    """Often signed, and then of short life."""


@json_shape
class RequestUsage(TypedDict, total=False):
    """What one request of a run has consumed."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


def _null_as_empty(attachments: object) -> object:
    return [] if attachments is None else attachments


class AgentConversationRead(ReadSchema):
    """A conversation of a tenant with its agents."""

    id: UuidRef
    conversation_key: Str255
    """``<tenant id>:<external key>``."""
    tenant_id: UuidRef
    user_id: UuidRef | None
    agent_entrypoint: Str64
    active_agent: Str64 | None
    status: Str16
    message_count: Int
    """Messages ever appended, which is the position of the next one."""
    total_tokens_prompt: Int
    total_tokens_completion: Int
    reasoning_tokens: Int
    total_cached_input_tokens: Int
    total_requests: Int
    provider: Str32 | None
    provider_conversation_id: Str128 | None
    handoff_count: Int
    source_channel: Str32 | None
    topic_hint: Str256 | None
    display_name: Str128 | None
    title_generated_at: AwareInstant | None
    """When a model made ``display_name``."""
    memory_strategy: Str16 | None
    memory_max_turns: Int | None
    memory_keep_last_turns: Int | None
    memory_compact_trigger_turns: Int | None
    memory_compact_keep: Int | None
    memory_clear_tool_inputs: Bool | None
    memory_injection: Bool | None
    last_message_at: AwareInstant | None
    last_run_id: Str64 | None
    client_version: Str32 | None
    sdk_session_id: Str255 | None
    session_cursor: Str128 | None
    """The SDK session's own position."""
    last_session_sync_at: AwareInstant | None
    created_at: AwareInstant
    updated_at: AwareInstant


class AgentConversationCreate(CreateSchema):
    """A conversation to be begun."""

    conversation_key: Str255
    """``<tenant id>:<external key>``."""
    tenant_id: UuidRef
    user_id: UuidRef | None = None
    agent_entrypoint: Str64
    active_agent: Str64 | None = None
    status: ConversationStatus = ConversationStatus.ACTIVE
    message_count: Int = 0
    total_tokens_prompt: Int = 0
    total_tokens_completion: Int = 0
    reasoning_tokens: Int = 0
    total_cached_input_tokens: Int = 0
    total_requests: Int = 0
    provider: Str32 | None = None
    provider_conversation_id: Str128 | None = None
    handoff_count: Int = 0
    source_channel: Str32 | None = None
    topic_hint: Str256 | None = None
    display_name: Name128 | None = None
    title_generated_at: AwareInstant | None = None
    memory_strategy: MemoryStrategy | None = None
    memory_max_turns: Int | None = None
    memory_keep_last_turns: Int | None = None
    memory_compact_trigger_turns: Int | None = None
    memory_compact_keep: Int | None = None
    memory_clear_tool_inputs: Bool | None = None
    memory_injection: Bool | None = None
    last_message_at: AwareInstant | None = None
    last_run_id: Str64 | None = None
    client_version: Str32 | None = None
    sdk_session_id: Str255 | None = None
    session_cursor: Str128 | None = None
    last_session_sync_at: AwareInstant | None = None


class AgentMessageRead(ReadSchema):
    """A message of a conversation."""

    id: RowNumber
    conversation_id: UuidRef
    segment_id: UuidRef
    position: Int
    """From 0, without gaps; the order of the conversation."""
    role: Str16
    agent_type: Str64 | None
    content: Shaped[MessageContent]
    attachments: Annotated[list[Shaped[Attachment]], BeforeValidator(_null_as_empty)]
    tool_name: Str128 | None
    tool_call_id: Str64 | None
    token_count_prompt: Int | None
    token_count_completion: Int | None
    reasoning_tokens: Int | None
    latency_ms: Int | None
    content_checksum: Str32 | None
    run_id: Str64 | None
    """The host's id of the run."""
    created_at: AwareInstant


class AgentMessageCreate(CreateSchema):
    """A message with its place in the conversation."""

    conversation_id: UuidRef
    segment_id: UuidRef
    position: Int
    role: MessageRole
    agent_type: Str64 | None = None
    content: MessageContent
    """Plain text goes under the key ``text``."""
    attachments: list[Attachment] = Field(default_factory=list[Attachment])
    tool_name: Str128 | None = None
    tool_call_id: Str64 | None = None
    token_count_prompt: Int | None = None
    token_count_completion: Int | None = None
    reasoning_tokens: Int | None = None
    latency_ms: Int | None = None
    content_checksum: Str32 | None = None
    run_id: Str64 | None = None


class ConversationSummaryRead(ReadSchema):
    """A summary that stands in for older messages."""

    id: RowNumber
    tenant_id: UuidRef
    conversation_id: UuidRef
    agent_key: Str64 | None
    """The agent that the summary is for; null: all."""
    summary_text: LongText
    summary_model: Str64 | None
    summary_length_tokens: Int | None
    expires_at: AwareInstant | None
    version: Str32 | None
    created_at: AwareInstant


class ConversationSummaryCreate(CreateSchema):
    """A summary of older messages."""

    tenant_id: UuidRef
    conversation_id: UuidRef
    agent_key: Str64 | None = None
    summary_text: LongText
    summary_model: Str64 | None = None
    summary_length_tokens: Int | None = None
    expires_at: AwareInstant | None = None
    version: Str32 | None = None


class AgentRunEventRead(ReadSchema):
    """One item of an agent run."""

    id: RowNumber
    conversation_id: UuidRef
    workflow_run_id: Str64 | None
    sequence_no: Int
    """From 0, without gaps within the conversation."""
    response_id: Str128 | None
    run_item_type: Str64
    run_item_name: Str128 | None
    role: Str16 | None
    agent: Str64 | None
    tool_call_id: Str128 | None
    tool_name: Str128 | None
    model: Str64 | None
    content_text: Str | None
    reasoning_text: Str | None
    call_arguments: JsonDict | None
    call_output: JsonDict | None
    attachments: list[Shaped[Attachment]] | None
    created_at: AwareInstant
    ingested_at: AwareInstant


class AgentRunEventCreate(CreateSchema):
    """One item of an agent run, with its place in the conversation."""

    conversation_id: UuidRef
    workflow_run_id: Str64 | None = None
    sequence_no: Int
    response_id: Str128 | None = None
    run_item_type: Str64
    run_item_name: Str128 | None = None
    role: MessageRole | None = None
    agent: Str64 | None = None
    tool_call_id: Str128 | None = None
    tool_name: Str128 | None = None
    model: Str64 | None = None
    content_text: Str | None = None
    reasoning_text: Str | None = None
    call_arguments: JsonDict | None = None
    call_output: JsonDict | None = None
    attachments: list[Attachment] | None = None
    ingested_at: AwareInstant = Field(default_factory=utc_now)


class AgentRunUsageRead(ReadSchema):
    """What one run has consumed."""

    id: RowNumber
    tenant_id: UuidRef
    conversation_id: UuidRef
    response_id: Str128 | None
    """The provider's id."""
    run_id: Str64 | None
    agent_key: Str64 | None
    provider: Str32 | None
    requests: Int | None
    input_tokens: Int | None
    output_tokens: Int | None
    total_tokens: Int | None
    cached_input_tokens: Int | None
    reasoning_output_tokens: Int | None
    request_usage_entries: list[Shaped[RequestUsage]] | None
    created_at: AwareInstant


class AgentRunUsageCreate(CreateSchema):
    """What one run has consumed, to be recorded."""

    tenant_id: UuidRef
    conversation_id: UuidRef
    response_id: Str128 | None = None
    run_id: Str64 | None = None
    agent_key: Str64 | None = None
    provider: Str32 | None = None
    requests: Int | None = None
    input_tokens: Int | None = None
    output_tokens: Int | None = None
    total_tokens: Int | None = None
    cached_input_tokens: Int | None = None
    reasoning_output_tokens: Int | None = None
    request_usage_entries: list[RequestUsage] | None = None
