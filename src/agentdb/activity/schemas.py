"""Schemas of the activity feed."""

from pydantic import Field

from agentdb.activity.values import ActivityStatus, ActorType, ReceiptStatus
from agentdb.columns import (
    PlainJsonDict,
    Str16,
    Str32,
    Str64,
    Str96,
    Str128,
    Str256,
    Str512,
    UuidRef,
)
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema
from agentdb.types import utc_now


class ActivityEventRead(ReadSchema):
    """An entry of a tenant's activity feed."""

    id: UuidRef
    tenant_id: UuidRef
    action: Str96
    created_at: AwareInstant
    actor_id: UuidRef | None
    """A user, service account or system component."""
    actor_type: Str16 | None
    actor_role: Str32 | None
    object_type: Str64 | None
    object_id: Str128 | None
    object_name: Str256 | None
    status: Str16
    source: Str32 | None
    request_id: Str128 | None
    ip_hash: Str128 | None
    user_agent: Str512 | None
    metadata_json: PlainJsonDict | None


class ActivityEventCreate(CreateSchema):
    """An entry of a tenant's activity feed, to be recorded."""

    tenant_id: UuidRef
    action: Str96
    actor_id: UuidRef | None = None
    actor_type: ActorType | None = None
    actor_role: Str32 | None = None
    object_type: Str64 | None = None
    object_id: Str128 | None = None
    object_name: Str256 | None = None
    status: ActivityStatus = ActivityStatus.SUCCESS
    source: Str32 | None = None
    request_id: Str128 | None = None
    ip_hash: Str128 | None = None
    user_agent: Str512 | None = None
    metadata_json: PlainJsonDict | None = None


class ActivityEventReceiptRead(ReadSchema):
    """What a member has explicitly done with an event."""

    id: UuidRef
    tenant_id: UuidRef
    user_id: UuidRef
    event_id: UuidRef
    status: Str16
    created_at: AwareInstant
    updated_at: AwareInstant


class ActivityEventReceiptCreate(CreateSchema):
    """What a member does with an event."""

    tenant_id: UuidRef
    user_id: UuidRef
    event_id: UuidRef
    status: ReceiptStatus


class ActivityLastSeenRead(ReadSchema):
    """How far a member has read the feed."""

    id: UuidRef
    tenant_id: UuidRef
    user_id: UuidRef
    last_seen_created_at: AwareInstant
    last_seen_event_id: UuidRef | None
    """Breaks the tie within one instant; the event may be gone."""
    updated_at: AwareInstant


class ActivityLastSeenCreate(CreateSchema):
    """The first checkpoint of a member in the feed."""

    tenant_id: UuidRef
    user_id: UuidRef
    last_seen_created_at: AwareInstant = Field(default_factory=utc_now)
    last_seen_event_id: UuidRef | None = None
    """Breaks the tie within one instant."""
