"""Subscriptions to status notices."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import Bytes, Instant, JsonDict, LongText, Str64, Str128, Str512, UuidRef
from agentdb.orm import Base, RandomKey, Tenancy, Timestamps, partial
from agentdb.status.values import SubscriptionChannel, SubscriptionSeverity, SubscriptionStatus
from agentdb.types import Choice


class StatusSubscription(RandomKey, Timestamps, Base):
    """A wish to be told of incidents. Verified before the first notice; ends when it is revoked."""

    __tablename__ = "status_subscriptions"
    __tenancy__ = Tenancy.optional()
    __secrets__ = frozenset(
        {
            "target_encrypted",
            "verification_token_hash",
            "challenge_token_hash",
            "webhook_secret_encrypted",
            "unsubscribe_token_hash",
            "unsubscribe_token_encrypted",
        }
    )
    __table_args__ = (
        Index("ix_status_subscriptions_target_hash", "target_hash"),
        Index("ix_status_subscriptions_tenant_id", "tenant_id"),
        Index("ix_status_subscriptions_verification_token_hash", "verification_token_hash"),
        Index("ix_status_subscriptions_challenge_token_hash", "challenge_token_hash"),
        Index("ix_status_subscriptions_unsubscribe_token_hash", "unsubscribe_token_hash"),
        Index("ix_status_subscriptions_created", "created_at", "id"),
        partial("ix_status_subscriptions_active", "id", where="status = 'active'"),
        partial(
            "ix_status_subscriptions_pending",
            "verification_expires_at",
            "id",
            where="status = 'pending_verification'",
        ),
    )

    channel: Mapped[str] = mapped_column(Choice(tuple(SubscriptionChannel), 16))
    target_hash: Mapped[Str128]
    """Of the address or URL, to find it by."""
    target_masked: Mapped[Str512]
    target_encrypted: Mapped[Bytes]
    """Empty once revoked."""
    severity_filter: Mapped[str] = mapped_column(Choice(tuple(SubscriptionSeverity), 16))
    status: Mapped[str] = mapped_column(Choice(tuple(SubscriptionStatus), 32))
    tenant_id: Mapped[UuidRef | None] = mapped_column(default=None)
    """No foreign key: erasing the tenant deletes its subscriptions."""
    metadata_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)
    created_by: Mapped[Str64]
    """The id of the user as text, or a word for who else did; no foreign key."""
    verification_token_hash: Mapped[Str128 | None] = mapped_column(default=None)
    verification_expires_at: Mapped[Instant | None] = mapped_column(default=None)
    challenge_token_hash: Mapped[Str128 | None] = mapped_column(default=None)
    webhook_secret_encrypted: Mapped[Bytes | None] = mapped_column(default=None)
    unsubscribe_token_hash: Mapped[Str128 | None] = mapped_column(default=None)
    unsubscribe_token_encrypted: Mapped[Bytes | None] = mapped_column(default=None)
    revoked_reason: Mapped[LongText | None] = mapped_column(default=None)
    revoked_at: Mapped[Instant | None] = mapped_column(default=None, sort_order=100)
    last_challenge_sent_at: Mapped[Instant | None] = mapped_column(default=None, sort_order=100)
