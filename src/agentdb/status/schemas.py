"""Schemas of subscriptions to status notices."""

from pydantic import Field

from agentdb.columns import Bytes, JsonDict, LongText, Str16, Str32, Str64, Str128, Str512, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema
from agentdb.status.values import SubscriptionChannel, SubscriptionSeverity, SubscriptionStatus


class StatusSubscriptionRead(ReadSchema):
    """A subscription to status notices, without its tokens and its target in clear."""

    id: UuidRef
    channel: Str16
    target_hash: Str128
    target_masked: Str512
    severity_filter: Str16
    status: Str32
    tenant_id: UuidRef | None
    metadata_json: JsonDict
    created_by: Str64
    """The id of the user as text, or a word for who else did."""
    verification_expires_at: AwareInstant | None
    revoked_reason: LongText | None
    created_at: AwareInstant
    updated_at: AwareInstant
    revoked_at: AwareInstant | None
    last_challenge_sent_at: AwareInstant | None


class StatusSubscriptionCreate(CreateSchema):
    """A subscription to status notices, its tokens hashed and its target encrypted."""

    channel: SubscriptionChannel
    target_hash: Str128
    """Of the address or URL, to find it by."""
    target_masked: Str512
    target_encrypted: Bytes = Field(repr=False)
    severity_filter: SubscriptionSeverity
    status: SubscriptionStatus
    tenant_id: UuidRef | None = None
    metadata_json: JsonDict = Field(default_factory=dict)
    created_by: Str64
    verification_token_hash: Str128 | None = Field(default=None, repr=False)
    verification_expires_at: AwareInstant | None = None
    challenge_token_hash: Str128 | None = Field(default=None, repr=False)
    webhook_secret_encrypted: Bytes | None = Field(default=None, repr=False)
    unsubscribe_token_hash: Str128 | None = Field(default=None, repr=False)
    unsubscribe_token_encrypted: Bytes | None = Field(default=None, repr=False)
    revoked_reason: LongText | None = None
    revoked_at: AwareInstant | None = None
    last_challenge_sent_at: AwareInstant | None = None
