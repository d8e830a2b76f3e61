"""Webhook deliveries of Stripe, and their dispatch to handlers."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agentdb.columns import Instant, Int, JsonDict, LongText, Str64, Str128, UuidRef
from agentdb.orm import Base, Tenancy, Timestamps, UuidKey, partial
from agentdb.stripe.values import StripeDispatchStatus, StripeProcessingOutcome
from agentdb.types import UTC_NOW, Choice


class StripeEvent(UuidKey, Base):
    """A webhook delivery of Stripe, stored once however often it arrives; purged once processed."""

    __tablename__ = "stripe_events"
    __tenancy__ = Tenancy.system()
    __table_args__ = (
        UniqueConstraint("stripe_event_id"),
        Index("ix_stripe_events_type", "event_type"),
        Index("ix_stripe_events_status", "processing_outcome"),
        Index("ix_stripe_events_received", "received_at", "id"),
        partial(
            "ix_stripe_events_tenant_received",
            "tenant_hint",
            "received_at",
            "id",
            where="tenant_hint IS NOT NULL",
        ),
        partial(
            "ix_stripe_events_processed", "processed_at", "id", where="processed_at IS NOT NULL"
        ),
    )

    stripe_event_id: Mapped[Str64]
    """Stripe's own id, ``evt_...``."""
    event_type: Mapped[Str128]
    payload: Mapped[JsonDict]
    tenant_hint: Mapped[Str64 | None] = mapped_column(default=None)
    """What the payload says of the tenant; no foreign key, as it proves nothing."""
    stripe_created_at: Mapped[Instant | None] = mapped_column(default=None)
    received_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    processed_at: Mapped[Instant | None] = mapped_column(default=None)
    processing_outcome: Mapped[str] = mapped_column(
        Choice(tuple(StripeProcessingOutcome), 32), default=StripeProcessingOutcome.RECEIVED
    )
    processing_error: Mapped[LongText | None] = mapped_column(default=None)
    processing_attempts: Mapped[Int] = mapped_column(default=0)

    dispatches: Mapped[list["StripeEventDispatch"]] = relationship(
        back_populates="event", lazy="raise", passive_deletes="all", init=False, repr=False
    )


class StripeEventDispatch(UuidKey, Timestamps, Base):
    """One handler's work on one event: claimed, retried with back-off, completed or dead."""

    __tablename__ = "stripe_event_dispatch"
    __tenancy__ = Tenancy.system()
    __table_args__ = (
        UniqueConstraint("stripe_event_id", "handler"),
        Index("ix_stripe_event_dispatch_handler_status", "handler", "status", "next_retry_at"),
        partial(
            "ix_stripe_event_dispatch_due",
            "next_retry_at",
            "id",
            where="status IN ('pending', 'in_progress', 'failed')",
        ),
    )

    stripe_event_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("stripe_events.id", ondelete="CASCADE")
    )
    handler: Mapped[Str64]
    status: Mapped[str] = mapped_column(
        Choice(tuple(StripeDispatchStatus), 32), default=StripeDispatchStatus.PENDING
    )
    attempts: Mapped[Int] = mapped_column(default=0)
    """Also the fencing token; never decreases."""
    last_attempt_at: Mapped[Instant | None] = mapped_column(default=None)
    next_retry_at: Mapped[Instant | None] = mapped_column(default=None)
    """When the row is due: the end of a lease, or of a back-off; NULL: at once."""
    last_error: Mapped[LongText | None] = mapped_column(default=None)

    event: Mapped[StripeEvent] = relationship(
        back_populates="dispatches", lazy="raise", init=False, repr=False
    )
