"""Schemas of the ledger of frames and the queue of runs."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from agentdb.columns import (
    BigInt,
    Int,
    JsonDict,
    RowNumber,
    Str16,
    Str32,
    Str64,
    Str128,
    Str255,
    UuidRef,
)
from agentdb.ledger.values import LedgerSchemaVersion, QueueItemStatus
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema, Shaped, json_shape
from agentdb.types import utc_now


def _check_timestamp(text: str) -> str:
    """Return *text* as it came, if it is an instant: a replayed frame equals the recorded one."""
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        offset = None
    if offset is None:
        raise ValueError("expects an ISO 8601 time stamp with a time zone")
    return text


@json_shape
class PublicFrame(TypedDict):
    """A server-sent event as a client received it; fields beyond the required ones are kept."""

    schema: Str32
    kind: Str64
    stream_id: Str255
    event_id: Int
    """Increases within the stream."""
    server_timestamp: Annotated[str, AfterValidator(_check_timestamp)]


class ConversationLedgerSegmentRead(ReadSchema):
    """A stretch of a conversation between two truncations."""

    id: UuidRef
    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_index: Int
    """From 0 within the conversation."""
    parent_segment_id: UuidRef | None
    """The segment that a truncation cut to make this one."""
    visible_through_event_id: RowNumber | None
    """The last frame still visible, 0 for none."""
    visible_through_message_position: Int | None
    """The last message still visible, -1 for none."""
    truncated_at: AwareInstant | None
    """Null: the segment is active."""
    created_at: AwareInstant
    updated_at: AwareInstant


class ConversationLedgerSegmentCreate(CreateSchema):
    """A segment to be opened."""

    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_index: Int
    parent_segment_id: UuidRef | None = None
    visible_through_event_id: RowNumber | None = None
    visible_through_message_position: Int | None = None
    truncated_at: AwareInstant | None = None


class ConversationLedgerEventRead(ReadSchema):
    """A frame as a client received it."""

    id: RowNumber
    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_id: UuidRef
    schema_version: Str32
    kind: Str64
    stream_id: Str255
    event_id: Int
    """The number within the stream, given by the producer."""
    server_timestamp: AwareInstant
    response_id: Str128 | None
    agent: Str64 | None
    workflow_run_id: Str64 | None
    provider_sequence_number: Int | None
    output_index: Int | None
    item_id: Str255 | None
    content_index: Int | None
    tool_call_id: Str255 | None
    payload_size_bytes: BigInt | None
    """Bytes of the whole frame as compact UTF-8 JSON, wherever it is stored."""
    payload_json: Shaped[PublicFrame] | None
    """The whole frame, or what is left of a purged one; null where it is in an object."""
    payload_object_id: UuidRef | None
    """The object with the gzipped frame."""
    ingested_at: AwareInstant


class ConversationLedgerEventCreate(CreateSchema):
    """A frame with its place in the ledger."""

    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_id: UuidRef
    schema_version: Str32 = LedgerSchemaVersion.PUBLIC_SSE_V1
    kind: Str64
    stream_id: Str255
    event_id: Int
    server_timestamp: AwareInstant
    response_id: Str128 | None = None
    agent: Str64 | None = None
    workflow_run_id: Str64 | None = None
    provider_sequence_number: Int | None = None
    output_index: Int | None = None
    item_id: Str255 | None = None
    content_index: Int | None = None
    tool_call_id: Str255 | None = None
    payload_size_bytes: BigInt | None = None
    """Bytes of the whole frame as compact UTF-8 JSON, wherever it is stored."""
    payload_json: PublicFrame | None = None
    """The whole frame; it or ``payload_object_id`` is given."""
    payload_object_id: UuidRef | None = None
    ingested_at: AwareInstant = Field(default_factory=utc_now)


class ConversationRunQueueItemRead(ReadSchema):
    """A run that waits for, or holds, its conversation."""

    id: RowNumber
    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_id: UuidRef | None
    created_by_user_id: UuidRef | None
    status: Str16
    attempt_count: Int
    """Also the fencing token: only the current attempt may write."""
    payload_json: JsonDict
    error_json: JsonDict | None
    """The error of the last attempt that failed."""
    created_at: AwareInstant
    started_at: AwareInstant | None
    """The last sign of life."""
    completed_at: AwareInstant | None
    cancelled_at: AwareInstant | None


class ConversationRunQueueItemCreate(CreateSchema):
    """A run to be queued."""

    tenant_id: UuidRef
    conversation_id: UuidRef
    segment_id: UuidRef | None = None
    created_by_user_id: UuidRef | None = None
    status: QueueItemStatus = QueueItemStatus.QUEUED
    attempt_count: Int = 0
    payload_json: JsonDict
    error_json: JsonDict | None = None
    started_at: AwareInstant | None = None
    completed_at: AwareInstant | None = None
    cancelled_at: AwareInstant | None = None
