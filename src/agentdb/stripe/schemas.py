"""Schemas of Stripe's webhook deliveries and their dispatch."""

from pydantic import Field

from agentdb.columns import Int, JsonDict, LongText, Str32, Str64, Str128, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema
from agentdb.stripe.values import StripeDispatchStatus, StripeProcessingOutcome
from agentdb.types import utc_now


class StripeEventRead(ReadSchema):
    """A webhook delivery of Stripe."""

    id: UuidRef
    stripe_event_id: Str64
    """Stripe's own id, ``evt_...``."""
    event_type: Str128
    payload: JsonDict
    tenant_hint: Str64 | None
    """What the payload says of the tenant, which proves nothing."""
    stripe_created_at: AwareInstant | None
    received_at: AwareInstant
    processed_at: AwareInstant | None
    processing_outcome: Str32
    processing_error: LongText | None
    processing_attempts: Int


class StripeEventCreate(CreateSchema):
    """A webhook delivery of Stripe, as it comes in."""

    stripe_event_id: Str64
    event_type: Str128
    payload: JsonDict
    tenant_hint: Str64 | None = None
    stripe_created_at: AwareInstant | None = None
    received_at: AwareInstant = Field(default_factory=utc_now)
    processed_at: AwareInstant | None = None
    processing_outcome: StripeProcessingOutcome = StripeProcessingOutcome.RECEIVED
    processing_error: LongText | None = None
    processing_attempts: Int = 0


class StripeEventDispatchRead(ReadSchema):
    """One handler's work on one event."""

    id: UuidRef
    stripe_event_id: UuidRef
    handler: Str64
    status: Str32
    attempts: Int
    """Also the fencing token."""
    last_attempt_at: AwareInstant | None
    next_retry_at: AwareInstant | None
    """When the row is due; null: at once."""
    last_error: LongText | None
    created_at: AwareInstant
    updated_at: AwareInstant


class StripeEventDispatchCreate(CreateSchema):
    """One handler's work on one event, to be done."""

    stripe_event_id: UuidRef
    handler: Str64
    status: StripeDispatchStatus = StripeDispatchStatus.PENDING
    attempts: Int = 0
    last_attempt_at: AwareInstant | None = None
    next_retry_at: AwareInstant | None = None
    last_error: LongText | None = None
