"""Schemas of sign-up requests, invites and reservations."""

from pydantic import Field

from agentdb.columns import Email, Int, JsonDict, LongText, Str16, Str64, Str128, Str512, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, EmailAddress, Known, Name128, ReadSchema
from agentdb.signup.values import (
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
    TenantSignupRequestStatus,
)
from agentdb.types import utc_now


class TenantSignupRequestRead(ReadSchema):
    """Somebody's request for a tenant."""

    id: UuidRef
    email: Email
    organization: Str128 | None
    full_name: Str128 | None
    message: LongText | None
    status: Known[TenantSignupRequestStatus]
    decision_reason: LongText | None
    decided_at: AwareInstant | None
    decided_by: UuidRef | None
    invite_token_hint: Str16 | None
    """The last characters of the invite's token, to recognise it by."""
    ip_address: Str64 | None
    user_agent: Str512 | None
    honeypot_value: Str64 | None
    """What came in the field that people do not see."""
    metadata_json: JsonDict | None
    created_at: AwareInstant
    updated_at: AwareInstant


class TenantSignupRequestCreate(CreateSchema):
    """A request for a tenant, as it comes in."""

    email: EmailAddress
    organization: Name128 | None = None
    full_name: Name128 | None = None
    message: LongText | None = None
    status: TenantSignupRequestStatus = TenantSignupRequestStatus.PENDING
    decision_reason: LongText | None = None
    decided_at: AwareInstant | None = None
    decided_by: UuidRef | None = None
    invite_token_hint: Str16 | None = None
    ip_address: Str64 | None = None
    user_agent: Str512 | None = None
    honeypot_value: Str64 | None = None
    metadata_json: JsonDict | None = None


class TenantSignupInviteRead(ReadSchema):
    """An invite to sign up, without the hash of its token."""

    id: UuidRef
    token_hint: Str16
    """The last characters of the token, to recognise it by."""
    invited_email: Email | None
    """The only address that may redeem the invite; null: any."""
    issuer_user_id: UuidRef | None
    issuer_tenant_id: UuidRef | None
    signup_request_id: UuidRef | None
    status: Known[TenantSignupInviteStatus]
    max_redemptions: Int
    redeemed_count: Int
    """Finalised reservations."""
    expires_at: AwareInstant | None
    last_redeemed_at: AwareInstant | None
    revoked_at: AwareInstant | None
    revoked_reason: LongText | None
    note: LongText | None
    metadata_json: JsonDict | None
    created_at: AwareInstant
    updated_at: AwareInstant


class TenantSignupInviteCreate(CreateSchema):
    """An invite to sign up, its token hashed."""

    token_hash: Str128 = Field(repr=False)
    token_hint: Str16
    """The last characters of the token, to recognise it by."""
    invited_email: EmailAddress | None = None
    issuer_user_id: UuidRef | None = None
    issuer_tenant_id: UuidRef | None = None
    signup_request_id: UuidRef | None = None
    status: TenantSignupInviteStatus = TenantSignupInviteStatus.ACTIVE
    max_redemptions: Int = 1
    redeemed_count: Int = 0
    expires_at: AwareInstant | None = None
    last_redeemed_at: AwareInstant | None = None
    revoked_at: AwareInstant | None = None
    revoked_reason: LongText | None = None
    note: LongText | None = None
    metadata_json: JsonDict | None = None


class TenantSignupInviteReservationRead(ReadSchema):
    """One use of an invite, held, finalised, released or overdue."""

    id: UuidRef
    invite_id: UuidRef
    email: Email
    status: Known[SignupInviteReservationStatus]
    reserved_at: AwareInstant
    expires_at: AwareInstant
    released_at: AwareInstant | None
    released_reason: LongText | None
    finalized_at: AwareInstant | None
    tenant_id: UuidRef | None
    user_id: UuidRef | None
    created_at: AwareInstant
    updated_at: AwareInstant


class TenantSignupInviteReservationCreate(CreateSchema):
    """One use of an invite, to be held."""

    invite_id: UuidRef
    email: EmailAddress
    status: SignupInviteReservationStatus = SignupInviteReservationStatus.ACTIVE
    reserved_at: AwareInstant = Field(default_factory=utc_now)
    expires_at: AwareInstant
    released_at: AwareInstant | None = None
    released_reason: LongText | None = None
    finalized_at: AwareInstant | None = None
    tenant_id: UuidRef | None = None
    user_id: UuidRef | None = None
