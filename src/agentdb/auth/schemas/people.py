"""Schemas of users: their profiles, memberships, consents and preferences."""

from pydantic import Field

from agentdb.auth.values import PepperVersion, PlatformRole, TenantRole, UserStatus
from agentdb.columns import (
    Bool,
    Email,
    JsonDict,
    LongText,
    Str16,
    Str32,
    Str64,
    Str128,
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
