"""Schemas of what users and service accounts identify themselves by."""

from pydantic import Field

from agentdb.auth.values import MfaMethodType
from agentdb.columns import (
    Bytes,
    JsonDict,
    JsonStrings,
    LongText,
    Str32,
    Str64,
    Str128,
    Str256,
    Str512,
    UuidRef,
)
from agentdb.schema import AwareInstant, CreateSchema, Known, ReadSchema
from agentdb.types import utc_now


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
