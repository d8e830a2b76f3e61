"""Users and memberships, their credentials, sessions and tokens, and the logs about them."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agentdb.auth.values import (
    LoginResult,
    MfaMethodType,
    PepperVersion,
    PlatformRole,
    TenantRole,
    UsageCounterGranularity,
    UserStatus,
)
from agentdb.columns import (
    BigInt,
    Bool,
    Bytes,
    Day,
    Email,
    Instant,
    JsonDict,
    JsonStrings,
    LongText,
    Str16,
    Str32,
    Str64,
    Str128,
    Str256,
    Str512,
    UuidRef,
)
from agentdb.orm import Base, Created, Tenancy, Timestamps, UuidKey, partial
from agentdb.types import UTC_NOW, Choice, NativeEnum


class User(UuidKey, Timestamps, Base):
    """A person, who may be a member of several tenants.

    Deleted with credentials and sessions; what logs and counters say of the person stays, without
    the key.
    """

    __tablename__ = "users"
    __tenancy__ = Tenancy.identity("id")
    __secrets__ = frozenset({"password_hash"})
    __table_args__ = (UniqueConstraint("email"), Index("ix_users_status", "status"))

    email: Mapped[Email]
    """Trimmed, NFC and lower-cased by every verb, so that both databases agree on what is equal."""
    password_hash: Mapped[LongText]
    password_pepper_version: Mapped[Str32] = mapped_column(default=PepperVersion.V2)
    """The host's secret that went into the hash."""
    status: Mapped[UserStatus] = mapped_column(
        NativeEnum(UserStatus, "user_status"), default=UserStatus.PENDING
    )
    platform_role: Mapped[PlatformRole | None] = mapped_column(
        NativeEnum(PlatformRole, "platform_role"), default=None
    )
    email_verified_at: Mapped[Instant | None] = mapped_column(default=None)
    """Cleared when the address changes."""

    profile: Mapped["UserProfile | None"] = relationship(
        back_populates="user", lazy="raise", passive_deletes="all", init=False, repr=False
    )
    memberships: Mapped[list["TenantUserMembership"]] = relationship(
        back_populates="user", lazy="raise", passive_deletes="all", init=False, repr=False
    )


class UserProfile(UuidKey, Timestamps, Base):
    """How a user wants to be shown; at most one row, made by the first write."""

    __tablename__ = "user_profiles"
    __tenancy__ = Tenancy.identity()
    __table_args__ = (Index("uq_user_profiles_user_id", "user_id", unique=True),)

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    display_name: Mapped[Str128 | None] = mapped_column(default=None)
    given_name: Mapped[Str64 | None] = mapped_column(default=None)
    family_name: Mapped[Str64 | None] = mapped_column(default=None)
    avatar_url: Mapped[Str512 | None] = mapped_column(default=None)
    timezone: Mapped[Str64 | None] = mapped_column(default=None)
    """An IANA name, as ``Europe/Berlin``."""
    locale: Mapped[Str32 | None] = mapped_column(default=None)
    metadata_json: Mapped[JsonDict | None] = mapped_column(default=None)

    user: Mapped[User] = relationship(
        back_populates="profile", lazy="raise", init=False, repr=False
    )


class TenantUserMembership(UuidKey, Created, Base):
    """A user's place in a tenant. A tenant keeps at least one owner."""

    __tablename__ = "tenant_user_memberships"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("user_id", "tenant_id"),
        Index("ix_tenant_user_memberships_tenant_role", "tenant_id", "role"),
        Index("ix_tenant_user_memberships_user", "user_id"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    role: Mapped[TenantRole] = mapped_column(NativeEnum(TenantRole, "tenant_role"))

    user: Mapped[User] = relationship(
        back_populates="memberships", lazy="raise", init=False, repr=False
    )


class PasswordHistory(UuidKey, Created, Base):
    """A password that a user has or had, kept to refuse its reuse; trimmed to the newest few."""

    __tablename__ = "password_history"
    __tenancy__ = Tenancy.identity()
    __secrets__ = frozenset({"password_hash"})
    __table_args__ = (Index("ix_password_history_user_created", "user_id", "created_at"),)

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    password_hash: Mapped[LongText]
    password_pepper_version: Mapped[Str32]


class UserLoginEvent(UuidKey, Created, Base):
    """An attempt to log in. Never changed; purged by age."""

    __tablename__ = "user_login_events"
    __tenancy__ = Tenancy.optional()
    __table_args__ = (
        Index("ix_user_login_events_user_created", "user_id", "created_at"),
        Index("ix_user_login_events_tenant_created", "tenant_id", "created_at"),
        Index("ix_user_login_events_created", "created_at", "id"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    tenant_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="SET NULL"), default=None
    )
    ip_hash: Mapped[Str128]
    """``unknown`` where the host knows no address."""
    user_agent: Mapped[Str512 | None] = mapped_column(default=None)
    result: Mapped[str] = mapped_column(Choice(tuple(LoginResult), 16))
    reason: Mapped[Str128 | None] = mapped_column(default=None)


class UserSession(UuidKey, Timestamps, Base):
    """A user's log-in on one device, alive until it is revoked or its refresh token lapses."""

    __tablename__ = "user_sessions"
    __tenancy__ = Tenancy.direct()
    __secrets__ = frozenset({"ip_encrypted"})
    __table_args__ = (
        UniqueConstraint("refresh_jti"),
        Index("ix_user_sessions_user_last_seen", "user_id", "last_seen_at"),
        Index("ix_user_sessions_tenant_last_seen", "tenant_id", "last_seen_at"),
        Index("ix_user_sessions_refresh_jti", "refresh_jti", unique=True),
        Index("ix_user_sessions_fingerprint", "user_id", "fingerprint"),
        partial("ix_user_sessions_idle", "last_seen_at", "id", where="revoked_at IS NULL"),
        partial("ix_user_sessions_revoked", "revoked_at", "id", where="revoked_at IS NOT NULL"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    refresh_jti: Mapped[Str64]
    """The id of the refresh token in use; moves with every rotation."""
    fingerprint: Mapped[Str256 | None] = mapped_column(default=None)
    """Up to 128 characters; longer ones are stored as ``sha256:`` and 64 hex digits."""
    ip_hash: Mapped[Str128 | None] = mapped_column(default=None)
    ip_encrypted: Mapped[Bytes | None] = mapped_column(default=None)
    ip_masked: Mapped[Str64 | None] = mapped_column(default=None)
    user_agent: Mapped[Str512 | None] = mapped_column(default=None)
    client_platform: Mapped[Str64 | None] = mapped_column(default=None)
    client_browser: Mapped[Str64 | None] = mapped_column(default=None)
    client_device: Mapped[Str32 | None] = mapped_column(default=None)
    location_city: Mapped[Str128 | None] = mapped_column(default=None)
    location_region: Mapped[Str128 | None] = mapped_column(default=None)
    location_country: Mapped[Str64 | None] = mapped_column(default=None)
    last_seen_at: Mapped[Instant | None] = mapped_column(default=None, sort_order=100)
    """Never moves back."""
    revoked_at: Mapped[Instant | None] = mapped_column(default=None, sort_order=100)
    revoked_reason: Mapped[Str256 | None] = mapped_column(default=None, sort_order=100)


class ServiceAccountToken(UuidKey, Timestamps, Base):
    """A refresh token that was issued, of a service account or of a user.

    Rotation revokes it and inserts a successor; revoked rows stay for a while, so that reuse shows.
    """

    __tablename__ = "service_account_tokens"
    __tenancy__ = Tenancy.optional()
    __secrets__ = frozenset({"refresh_token_hash"})
    __table_args__ = (
        UniqueConstraint("refresh_jti"),
        Index("ix_service_account_tokens_session_id", "session_id"),
        partial(
            "uq_service_account_tokens_active_service_accounts",
            "account",
            "tenant_id",
            "scope_key",
            where="revoked_at IS NULL AND account NOT LIKE 'user:%'",
            unique=True,
        ),
        partial(
            "uq_service_account_tokens_active_global",
            "account",
            "scope_key",
            where="tenant_id IS NULL AND revoked_at IS NULL AND account NOT LIKE 'user:%'",
            unique=True,
        ),
        Index("ix_service_account_tokens_expires", "expires_at", "id"),
        Index("ix_service_account_tokens_account", "account", "issued_at"),
        Index("ix_service_account_tokens_tenant_issued", "tenant_id", "issued_at", "id"),
    )

    account: Mapped[Str128]
    """``user:<id>`` for the tokens of a user; service accounts may not begin so."""
    tenant_id: Mapped[UuidRef | None] = mapped_column(default=None)
    """NULL: across tenants. No foreign key: erasing the tenant deletes its tokens."""
    scope_key: Mapped[Str256]
    """The scopes, sorted and joined by blanks."""
    scopes: Mapped[JsonStrings]
    refresh_token_hash: Mapped[LongText]
    refresh_jti: Mapped[Str64]
    signing_kid: Mapped[Str64]
    """The key that signed the token."""
    fingerprint: Mapped[Str128 | None] = mapped_column(default=None)
    """Up to 128 characters; longer ones are stored as ``sha256:`` and 64 hex digits."""
    session_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("user_sessions.id", ondelete="SET NULL"), default=None
    )
    issued_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    expires_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None] = mapped_column(default=None)
    revoked_reason: Mapped[Str256 | None] = mapped_column(default=None)


class UserMfaMethod(UuidKey, Timestamps, Base):
    """A second factor. Counts once it is verified, until it is revoked."""

    __tablename__ = "user_mfa_methods"
    __tenancy__ = Tenancy.identity()
    __secrets__ = frozenset({"secret_encrypted", "credential_json"})
    __table_args__ = (
        UniqueConstraint("user_id", "label"),
        Index("ix_user_mfa_methods_user_type", "user_id", "method_type"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method_type: Mapped[MfaMethodType] = mapped_column(NativeEnum(MfaMethodType, "mfa_method_type"))
    label: Mapped[Str64 | None] = mapped_column(default=None)
    """Renamed by a revocation, so that the label can be used again."""
    secret_encrypted: Mapped[Bytes | None] = mapped_column(default=None)
    credential_json: Mapped[JsonDict | None] = mapped_column(default=None)
    """The WebAuthn credential: id, public key, sign count."""
    verified_at: Mapped[Instant | None] = mapped_column(default=None)
    last_used_at: Mapped[Instant | None] = mapped_column(default=None)
    """Start of the newest time step accepted; no step passes twice."""
    revoked_at: Mapped[Instant | None] = mapped_column(default=None)
    revoked_reason: Mapped[Str128 | None] = mapped_column(default=None)


class UserRecoveryCode(UuidKey, Created, Base):
    """A one-time code for a user without the second factor at hand; a new set replaces the old."""

    __tablename__ = "user_recovery_codes"
    __tenancy__ = Tenancy.identity()
    __secrets__ = frozenset({"code_hash"})
    __table_args__ = (
        Index("ix_user_recovery_codes_user", "user_id"),
        Index("ix_user_recovery_codes_used", "used_at"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[Str128]
    used_at: Mapped[Instant | None] = mapped_column(default=None)


class UserConsent(UuidKey, Created, Base):
    """A user's agreement to one version of a policy; the first acceptance stands."""

    __tablename__ = "user_consents"
    __tenancy__ = Tenancy.identity()
    __table_args__ = (
        UniqueConstraint("user_id", "policy_key", "version"),
        Index("ix_user_consents_user_policy", "user_id", "policy_key"),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    policy_key: Mapped[Str64]
    version: Mapped[Str32]
    accepted_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    ip_hash: Mapped[Str128 | None] = mapped_column(default=None)
    user_agent_hash: Mapped[Str128 | None] = mapped_column(default=None)


class UserNotificationPreference(UuidKey, Timestamps, Base):
    """Whether a user wants one category of notices on one channel.

    A row of a tenant overrides the row without one.
    """

    __tablename__ = "user_notification_preferences"
    __tenancy__ = Tenancy.optional(shows_members=True)
    __table_args__ = (
        UniqueConstraint(
            "user_id",
            "tenant_id",
            "channel",
            "category",
            name="uq_user_notification_preferences_scope",
        ),
        Index("ix_user_notification_preferences_user", "user_id"),
        Index("ix_user_notification_preferences_tenant", "tenant_id"),
        partial(
            "uq_user_notification_preferences_null_tenant",
            "user_id",
            "channel",
            "category",
            where="tenant_id IS NULL",
            unique=True,
        ),
    )

    user_id: Mapped[UuidRef] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    tenant_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="CASCADE"), default=None
    )
    """NULL: wherever the tenant has no row of its own."""
    channel: Mapped[Str16]
    category: Mapped[Str64]
    enabled: Mapped[Bool] = mapped_column(default=True)


class UsageCounter(UuidKey, Timestamps, Base):
    """What one user, or nobody in particular, has consumed of a tenant's service in one period.

    A tenant's total is the sum over all rows: no usage is counted in two of them.
    """

    __tablename__ = "usage_counters"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "period_start", "granularity"),
        Index("ix_usage_counters_tenant_period", "tenant_id", "period_start"),
        Index("ix_usage_counters_user_period", "user_id", "period_start"),
        partial(
            "uq_usage_counters_tenant_period_null_user",
            "tenant_id",
            "period_start",
            "granularity",
            where="user_id IS NULL",
            unique=True,
        ),
        partial("ix_usage_counters_day", "period_start", "id", where="granularity = 'day'"),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    """NULL: usage attributed to nobody, and that of users who were deleted."""
    period_start: Mapped[Day]
    """A UTC day; the first of the month for monthly counters."""
    granularity: Mapped[UsageCounterGranularity] = mapped_column(
        NativeEnum(UsageCounterGranularity, "usage_counter_granularity")
    )
    input_tokens: Mapped[BigInt] = mapped_column(default=0)
    output_tokens: Mapped[BigInt] = mapped_column(default=0)
    requests: Mapped[BigInt] = mapped_column(default=0)
    storage_bytes: Mapped[BigInt] = mapped_column(default=0)
    """A level rather than a sum; may fall, not below zero."""


class SecurityEvent(UuidKey, Created, Base):
    """A change to somebody's credentials or access. Never changed; outlives its user."""

    __tablename__ = "security_events"
    __tenancy__ = Tenancy.optional()
    __table_args__ = (
        Index("ix_security_events_user_created", "user_id", "created_at"),
        Index("ix_security_events_tenant_created", "tenant_id", "created_at"),
        Index("ix_security_events_type", "event_type"),
        Index("ix_security_events_created", "created_at", "id"),
    )

    user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    tenant_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="SET NULL"), default=None
    )
    event_type: Mapped[Str32]
    source: Mapped[Str32 | None] = mapped_column(default=None)
    ip_hash: Mapped[Str128 | None] = mapped_column(default=None)
    user_agent_hash: Mapped[Str128 | None] = mapped_column(default=None)
    request_id: Mapped[Str128 | None] = mapped_column(default=None)
    metadata_json: Mapped[JsonDict | None] = mapped_column(default=None)
