"""The activity feed of a tenant, and how far each member has read it."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.activity.values import ActivityStatus, ActorType, ReceiptStatus
from agentdb.columns import (
    Instant,
    PlainJsonDict,
    Str32,
    Str64,
    Str96,
    Str128,
    Str256,
    Str512,
    UuidRef,
)
from agentdb.orm import Base, Tenancy, Timestamps, UuidKey
from agentdb.types import UTC_NOW, Choice


class ActivityEvent(UuidKey, Base):
    """Something happened in a tenant. Never changed; purged by age, with its receipts."""

    __tablename__ = "activity_events"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        Index("ix_activity_events_tenant_created", "tenant_id", "created_at"),
        Index("ix_activity_events_tenant_action", "tenant_id", "action"),
        Index("ix_activity_events_object", "tenant_id", "object_type", "object_id"),
        Index("ix_activity_events_request", "request_id"),
        Index("ix_activity_events_created", "created_at", "id"),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    action: Mapped[Str96]
    created_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    actor_id: Mapped[UuidRef | None] = mapped_column(default=None)
    """No foreign key: a user, service account or system component; cleared when the user is
    deleted."""
    actor_type: Mapped[str | None] = mapped_column(Choice(tuple(ActorType), 16), default=None)
    actor_role: Mapped[Str32 | None] = mapped_column(default=None)
    object_type: Mapped[Str64 | None] = mapped_column(default=None)
    object_id: Mapped[Str128 | None] = mapped_column(default=None)
    """Text, as objects of every table and of other systems have their own kinds of id."""
    object_name: Mapped[Str256 | None] = mapped_column(default=None)
    status: Mapped[str] = mapped_column(
        Choice(tuple(ActivityStatus), 16), default=ActivityStatus.SUCCESS
    )
    source: Mapped[Str32 | None] = mapped_column(default=None)
    request_id: Mapped[Str128 | None] = mapped_column(default=None)
    ip_hash: Mapped[Str128 | None] = mapped_column(default=None)
    user_agent: Mapped[Str512 | None] = mapped_column(default=None)
    metadata_json: Mapped[PlainJsonDict | None] = mapped_column("metadata", default=None)


class ActivityEventReceipt(UuidKey, Timestamps, Base):
    """What a member has explicitly done with an event; outweighs the member's checkpoint."""

    __tablename__ = "activity_event_receipts"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "event_id"),
        Index("ix_activity_receipts_user_status", "tenant_id", "user_id", "status"),
        Index("ix_activity_event_receipts_user_id", "user_id"),
        Index("ix_activity_event_receipts_event_id", "event_id"),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    event_id: Mapped[UuidRef] = mapped_column(ForeignKey("activity_events.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(Choice(tuple(ReceiptStatus), 16))


class ActivityLastSeen(UuidKey, Base):
    """A member's checkpoint in the feed: older events count as read. It only moves forward."""

    __tablename__ = "activity_last_seen"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id"),
        Index("ix_activity_last_seen_user", "tenant_id", "user_id"),
        Index("ix_activity_last_seen_user_id", "user_id"),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    last_seen_created_at: Mapped[Instant] = mapped_column(
        insert_default=UTC_NOW, default_factory=UTC_NOW
    )
    last_seen_event_id: Mapped[UuidRef | None] = mapped_column(default=None)
    """No foreign key, as the event may be purged; breaks the tie within one instant."""
    updated_at: Mapped[Instant] = mapped_column(
        insert_default=UTC_NOW, default_factory=UTC_NOW, onupdate=UTC_NOW
    )
