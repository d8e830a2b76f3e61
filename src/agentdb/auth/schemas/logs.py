"""Schemas of what is recorded of users: log-ins, usage, security events."""

from agentdb.auth.values import LoginResult, UsageCounterGranularity
from agentdb.columns import BigInt, Day, JsonDict, Str16, Str32, Str128, Str512, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, Known, ReadSchema


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
