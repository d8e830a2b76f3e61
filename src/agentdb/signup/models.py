"""Sign-up behind approval: requests, invites, and reservations of invites."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import (
    Email,
    Instant,
    Int,
    JsonDict,
    LongText,
    Str16,
    Str64,
    Str128,
    Str512,
    UuidRef,
)
from agentdb.orm import Base, Tenancy, Timestamps, UuidKey, partial
from agentdb.signup.values import (
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
    TenantSignupRequestStatus,
)
from agentdb.types import UTC_NOW, NativeEnum


class TenantSignupRequest(UuidKey, Timestamps, Base):
    """Somebody asks for a tenant. Decided once; purged some time after."""

    __tablename__ = "tenant_signup_requests"
    __tenancy__ = Tenancy.system()
    __table_args__ = (
        Index("ix_tenant_signup_requests_status", "status"),
        Index("ix_tenant_signup_requests_email", "email"),
        partial(
            "ix_tenant_signup_requests_decided_by", "decided_by", where="decided_by IS NOT NULL"
        ),
        Index("ix_tenant_signup_requests_status_created", "status", "created_at", "id"),
        partial("ix_tenant_signup_requests_pending_ip", "ip_address", where="status = 'pending'"),
    )

    email: Mapped[Email]
    organization: Mapped[Str128 | None] = mapped_column(default=None)
    full_name: Mapped[Str128 | None] = mapped_column(default=None)
    message: Mapped[LongText | None] = mapped_column(default=None)
    status: Mapped[TenantSignupRequestStatus] = mapped_column(
        NativeEnum(TenantSignupRequestStatus, "tenant_signup_request_status"),
        default=TenantSignupRequestStatus.PENDING,
    )
    decision_reason: Mapped[LongText | None] = mapped_column(default=None)
    decided_at: Mapped[Instant | None] = mapped_column(default=None)
    decided_by: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    invite_token_hint: Mapped[Str16 | None] = mapped_column(default=None)
    """The last characters of the invite's token, to recognise it by."""
    ip_address: Mapped[Str64 | None] = mapped_column(default=None)
    user_agent: Mapped[Str512 | None] = mapped_column(default=None)
    honeypot_value: Mapped[Str64 | None] = mapped_column(default=None)
    """What came in the field that people do not see; a request that fills it is rejected."""
    metadata_json: Mapped[JsonDict | None] = mapped_column(default=None)


class TenantSignupInvite(UuidKey, Timestamps, Base):
    """Lets its holders sign up, until it is redeemed often enough, lapses or is revoked."""

    __tablename__ = "tenant_signup_invites"
    __tenancy__ = Tenancy.system()
    __secrets__ = frozenset({"token_hash"})
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_tenant_signup_invites_status", "status"),
        partial(
            "ix_tenant_signup_invites_issuer_user_id",
            "issuer_user_id",
            where="issuer_user_id IS NOT NULL",
        ),
        partial(
            "ix_tenant_signup_invites_issuer_tenant_id",
            "issuer_tenant_id",
            where="issuer_tenant_id IS NOT NULL",
        ),
        partial(
            "ix_tenant_signup_invites_signup_request_id",
            "signup_request_id",
            where="signup_request_id IS NOT NULL",
        ),
        partial("ix_tenant_signup_invites_due", "expires_at", "id", where="status = 'active'"),
    )

    token_hash: Mapped[Str128]
    token_hint: Mapped[Str16]
    """The last characters of the token, to recognise it by."""
    invited_email: Mapped[Email | None] = mapped_column(default=None)
    """The only address that may redeem the invite; NULL: any."""
    issuer_user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    issuer_tenant_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="SET NULL"), default=None
    )
    signup_request_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_signup_requests.id", ondelete="SET NULL"), default=None
    )
    status: Mapped[TenantSignupInviteStatus] = mapped_column(
        NativeEnum(TenantSignupInviteStatus, "tenant_signup_invite_status"),
        default=TenantSignupInviteStatus.ACTIVE,
    )
    max_redemptions: Mapped[Int] = mapped_column(default=1)
    redeemed_count: Mapped[Int] = mapped_column(default=0)
    """Finalised reservations."""
    expires_at: Mapped[Instant | None] = mapped_column(default=None)
    last_redeemed_at: Mapped[Instant | None] = mapped_column(default=None)
    revoked_at: Mapped[Instant | None] = mapped_column(default=None)
    revoked_reason: Mapped[LongText | None] = mapped_column(default=None)
    note: Mapped[LongText | None] = mapped_column(default=None)
    metadata_json: Mapped[JsonDict | None] = mapped_column(default=None)


class TenantSignupInviteReservation(UuidKey, Timestamps, Base):
    """One use of an invite, held while the sign-up runs; finalised, released or overdue."""

    __tablename__ = "tenant_signup_invite_reservations"
    __tenancy__ = Tenancy.optional()
    __table_args__ = (
        Index("ix_signup_invite_reservations_status", "status"),
        Index("ix_signup_invite_reservations_invite_status", "invite_id", "status"),
        Index("ix_signup_invite_reservations_expires", "expires_at"),
        partial(
            "ix_tenant_signup_invite_reservations_tenant_id",
            "tenant_id",
            where="tenant_id IS NOT NULL",
        ),
        partial(
            "ix_tenant_signup_invite_reservations_user_id", "user_id", where="user_id IS NOT NULL"
        ),
        partial(
            "ix_tenant_signup_invite_reservations_due",
            "expires_at",
            "id",
            where="status = 'active'",
        ),
    )

    invite_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("tenant_signup_invites.id", ondelete="CASCADE")
    )
    email: Mapped[Email]
    status: Mapped[SignupInviteReservationStatus] = mapped_column(
        NativeEnum(SignupInviteReservationStatus, "signup_invite_reservation_status"),
        default=SignupInviteReservationStatus.ACTIVE,
    )
    reserved_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    expires_at: Mapped[Instant]
    released_at: Mapped[Instant | None] = mapped_column(default=None)
    released_reason: Mapped[LongText | None] = mapped_column(default=None)
    finalized_at: Mapped[Instant | None] = mapped_column(default=None)
    tenant_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="SET NULL"), default=None
    )
    """Set with ``user_id`` when the sign-up is done."""
    user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
