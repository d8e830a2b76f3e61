"""Schemas of users, their credentials, sessions and tokens, and of the logs about them."""

from pydantic import Field

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
from agentdb.schema import (
    AwareInstant,
    CreateSchema,
    EmailAddress,
    Known,
    Name64,
    Name128,
    ReadSchema,
)
from agentdb.types import utc_now


class UserRead(ReadSchema):
    """A user, without the password hash."""

    id: UuidRef
    email: Email
    password_pepper_version: Str32
    """The host's secret that went into the password hash."""
    status: Known[UserStatus]
    platform_role: Known[PlatformRole] | None
    email_verified_at: AwareInstant | None
    created_at: AwareInstant
    updated_at: AwareInstant


class UserCreate(CreateSchema):
    """A user with a hashed password."""

    email: EmailAddress
    password_hash: LongText = Field(repr=False)
    password_pepper_version: Str32 = PepperVersion.V2
    status: UserStatus = UserStatus.PENDING
    platform_role: PlatformRole | None = None
    email_verified_at: AwareInstant | None = None


class UserProfileRead(ReadSchema):
    """How a user wants to be shown."""

    id: UuidRef
    user_id: UuidRef
    display_name: Str128 | None
    given_name: Str64 | None
    family_name: Str64 | None
    avatar_url: Str512 | None
    timezone: Str64 | None
    """An IANA name, as ``Europe/Berlin``."""
    locale: Str32 | None
    metadata_json: JsonDict | None
    created_at: AwareInstant
    updated_at: AwareInstant


class UserProfileCreate(CreateSchema):
    """The profile of a user who has none."""

    user_id: UuidRef
    display_name: Name128 | None = None
    given_name: Name64 | None = None
    family_name: Name64 | None = None
    avatar_url: Str512 | None = None
    timezone: Str64 | None = None
    locale: Str32 | None = None
    metadata_json: JsonDict | None = None


class TenantUserMembershipRead(ReadSchema):
    """A user's place in a tenant."""

    id: UuidRef
    user_id: UuidRef
    tenant_id: UuidRef
    role: Known[TenantRole]
    created_at: AwareInstant


class TenantUserMembershipCreate(CreateSchema):
    """A user's place in a tenant, to be made."""

    user_id: UuidRef
    tenant_id: UuidRef
    role: TenantRole


class PasswordHistoryRead(ReadSchema):
    """When a user had which password, without its hash."""

    id: UuidRef
    user_id: UuidRef
    password_pepper_version: Str32
    created_at: AwareInstant


class PasswordHistoryCreate(CreateSchema):
    """A password that a user has or had, hashed."""

    user_id: UuidRef
    password_hash: LongText = Field(repr=False)
    password_pepper_version: Str32


class UserLoginEventRead(ReadSchema):
    """An attempt to log in."""

    id: UuidRef
    user_id: UuidRef
    tenant_id: UuidRef | None
    ip_hash: Str128
    """``unknown`` where the host knows no address."""
    user_agent: Str512 | None
    result: Str16
    reason: Str128 | None
    created_at: AwareInstant


class UserLoginEventCreate(CreateSchema):
    """An attempt to log in, to be recorded."""

    user_id: UuidRef
    tenant_id: UuidRef | None = None
    ip_hash: Str128
    """``unknown`` where the host knows no address."""
    user_agent: Str512 | None = None
    result: LoginResult
    reason: Str128 | None = None


class UserSessionRead(ReadSchema):
    """A user's log-in on one device, without the encrypted address."""

    id: UuidRef
    user_id: UuidRef
    tenant_id: UuidRef
    refresh_jti: Str64
    """The id of the refresh token in use."""
    fingerprint: Str256 | None
    ip_hash: Str128 | None
    ip_masked: Str64 | None
    user_agent: Str512 | None
    client_platform: Str64 | None
    client_browser: Str64 | None
    client_device: Str32 | None
    location_city: Str128 | None
    location_region: Str128 | None
    location_country: Str64 | None
    created_at: AwareInstant
    updated_at: AwareInstant
    last_seen_at: AwareInstant | None
    revoked_at: AwareInstant | None
    revoked_reason: Str256 | None


class UserSessionCreate(CreateSchema):
    """A log-in on one device."""

    user_id: UuidRef
    tenant_id: UuidRef
    refresh_jti: Str64
    fingerprint: Str256 | None = None
    ip_hash: Str128 | None = None
    ip_encrypted: Bytes | None = Field(default=None, repr=False)
    ip_masked: Str64 | None = None
    user_agent: Str512 | None = None
    client_platform: Str64 | None = None
    client_browser: Str64 | None = None
    client_device: Str32 | None = None
    location_city: Str128 | None = None
    location_region: Str128 | None = None
    location_country: Str64 | None = None
    last_seen_at: AwareInstant | None = None
    revoked_at: AwareInstant | None = None
    revoked_reason: Str256 | None = None


class ServiceAccountTokenRead(ReadSchema):
    """A refresh token that was issued, without its hash."""

    id: UuidRef
    account: Str128
    """``user:<id>`` for the tokens of a user."""
    tenant_id: UuidRef | None
    """Null: across tenants."""
    scope_key: Str256
    """The scopes, sorted and joined by blanks."""
    scopes: JsonStrings
    refresh_jti: Str64
    signing_kid: Str64
    """The key that signed the token."""
    fingerprint: Str128 | None
    session_id: UuidRef | None
    issued_at: AwareInstant
    expires_at: AwareInstant
    revoked_at: AwareInstant | None
    revoked_reason: Str256 | None
    created_at: AwareInstant
    updated_at: AwareInstant


class ServiceAccountTokenCreate(CreateSchema):
    """A refresh token, hashed."""

    account: Str128
    """``user:<id>`` for the tokens of a user; service accounts may not begin so."""
    tenant_id: UuidRef | None = None
    scope_key: Str256
    """The scopes, sorted and joined by blanks."""
    scopes: JsonStrings
    refresh_token_hash: LongText = Field(repr=False)
    refresh_jti: Str64
    signing_kid: Str64
    fingerprint: Str128 | None = None
    session_id: UuidRef | None = None
    issued_at: AwareInstant = Field(default_factory=utc_now)
    expires_at: AwareInstant
    revoked_at: AwareInstant | None = None
    revoked_reason: Str256 | None = None


class UserMfaMethodRead(ReadSchema):
    """A second factor, without its secret and credential."""

    id: UuidRef
    user_id: UuidRef
    method_type: Known[MfaMethodType]
    label: Str64 | None
    verified_at: AwareInstant | None
    last_used_at: AwareInstant | None
    """Start of the newest time step accepted."""
    revoked_at: AwareInstant | None
    revoked_reason: Str128 | None
    created_at: AwareInstant
    updated_at: AwareInstant


class UserMfaMethodCreate(CreateSchema):
    """A second factor, its secret encrypted."""

    user_id: UuidRef
    method_type: MfaMethodType
    label: Str64 | None = None
    secret_encrypted: Bytes | None = Field(default=None, repr=False)
    credential_json: JsonDict | None = Field(default=None, repr=False)
    verified_at: AwareInstant | None = None
    last_used_at: AwareInstant | None = None
    revoked_at: AwareInstant | None = None
    revoked_reason: Str128 | None = None


class UserRecoveryCodeRead(ReadSchema):
    """Whether a recovery code is used, without its hash."""

    id: UuidRef
    user_id: UuidRef
    used_at: AwareInstant | None
    created_at: AwareInstant


class UserRecoveryCodeCreate(CreateSchema):
    """A recovery code, hashed."""

    user_id: UuidRef
    code_hash: Str128 = Field(repr=False)
    used_at: AwareInstant | None = None


class UserConsentRead(ReadSchema):
    """A user's agreement to one version of a policy."""

    id: UuidRef
    user_id: UuidRef
    policy_key: Str64
    version: Str32
    accepted_at: AwareInstant
    ip_hash: Str128 | None
    user_agent_hash: Str128 | None
    created_at: AwareInstant


class UserConsentCreate(CreateSchema):
    """A user's agreement, to be recorded."""

    user_id: UuidRef
    policy_key: Str64
    version: Str32
    accepted_at: AwareInstant = Field(default_factory=utc_now)
    ip_hash: Str128 | None = None
    user_agent_hash: Str128 | None = None


class UserNotificationPreferenceRead(ReadSchema):
    """Whether a user wants one category of notices on one channel."""

    id: UuidRef
    user_id: UuidRef
    tenant_id: UuidRef | None
    """Null: wherever the tenant has no choice of its own."""
    channel: Str16
    category: Str64
    enabled: Bool
    created_at: AwareInstant
    updated_at: AwareInstant


class UserNotificationPreferenceCreate(CreateSchema):
    """A user's choice about one category of notices on one channel."""

    user_id: UuidRef
    tenant_id: UuidRef | None = None
    channel: Str16
    category: Str64
    enabled: Bool = True


class UsageCounterRead(ReadSchema):
    """What was consumed of a tenant's service in one period."""

    id: UuidRef
    tenant_id: UuidRef
    user_id: UuidRef | None
    """Null: usage attributed to nobody, and that of users who were deleted."""
    period_start: Day
    """A UTC day; the first of the month for monthly counters."""
    granularity: Known[UsageCounterGranularity]
    input_tokens: BigInt
    output_tokens: BigInt
    requests: BigInt
    storage_bytes: BigInt
    """A level rather than a sum."""
    created_at: AwareInstant
    updated_at: AwareInstant


class UsageCounterCreate(CreateSchema):
    """The first figures of a period."""

    tenant_id: UuidRef
    user_id: UuidRef | None = None
    period_start: Day
    """A UTC day; the first of the month for monthly counters."""
    granularity: UsageCounterGranularity
    input_tokens: BigInt = 0
    output_tokens: BigInt = 0
    requests: BigInt = 0
    storage_bytes: BigInt = 0


class SecurityEventRead(ReadSchema):
    """A change to somebody's credentials or access."""

    id: UuidRef
    user_id: UuidRef | None
    tenant_id: UuidRef | None
    event_type: Str32
    source: Str32 | None
    ip_hash: Str128 | None
    user_agent_hash: Str128 | None
    request_id: Str128 | None
    metadata_json: JsonDict | None
    created_at: AwareInstant


class SecurityEventCreate(CreateSchema):
    """A change to somebody's credentials or access, to be recorded."""

    user_id: UuidRef | None = None
    tenant_id: UuidRef | None = None
    event_type: Str32
    source: Str32 | None = None
    ip_hash: Str128 | None = None
    user_agent_hash: Str128 | None = None
    request_id: Str128 | None = None
    metadata_json: JsonDict | None = None
