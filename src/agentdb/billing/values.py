"""The values that columns of the billing tables take."""

from enum import StrEnum


class PlanInterval(StrEnum):
    """The unit of a plan's billing interval."""

    MONTHLY = "monthly"
    YEARLY = "yearly"


class TenantSubscriptionStatus(StrEnum):
    """Known states of a subscription; any text of up to 24 characters is accepted."""

    ACTIVE = "active"
    TRIALING = "trialing"
    INCOMPLETE = "incomplete"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    INCOMPLETE_EXPIRED = "incomplete_expired"


class SubscriptionProcessor(StrEnum):
    """Known payment processors; any text of up to 32 characters is accepted."""

    STRIPE = "stripe"
    FIXTURE = "fixture"


class InvoiceStatus(StrEnum):
    """Known states of an invoice; any text of up to 16 characters is accepted."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"
    UNKNOWN = "unknown"


class UsageUnit(StrEnum):
    """Known units of metered usage; any text of up to 32 characters is accepted."""

    UNITS = "units"


class FeatureKey(StrEnum):
    """Known features of plans and usage; any text of up to 64 characters is accepted."""

    MESSAGES = "messages"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    VECTOR_MAX_FILE_BYTES = "vector.max_file_bytes"
    VECTOR_TOTAL_BYTES_PER_TENANT = "vector.total_bytes_per_tenant"
    VECTOR_FILES_PER_STORE = "vector.files_per_store"
    VECTOR_STORES_PER_TENANT = "vector.stores_per_tenant"


class LimitOutcome(StrEnum):
    """What a limit says to a use."""

    ALLOW = "allow"
    SOFT_LIMIT = "soft_limit"
    HARD_LIMIT = "hard_limit"


class PlanTiming(StrEnum):
    """When a change of the plan takes effect."""

    AUTO = "auto"
    """At once for a dearer plan of the same interval, else at the end of the period."""
    IMMEDIATE = "immediate"
    PERIOD_END = "period_end"


class SubscriptionMetadataKey(StrEnum):
    """Reserved keys of a subscription's metadata, absent when they have no value."""

    PROCESSOR_SCHEDULE_ID = "processor_schedule_id"
    PROCESSOR_PRICE_ID = "processor_price_id"
    PROCESSOR_STATUS = "processor_status"
    PROCESSOR_SUBSCRIPTION_ITEM_ID = "processor_subscription_item_id"
    PROCESSOR_EVENT_AT = "processor_event_at"
    PENDING_PLAN_CODE = "pending_plan_code"
    PENDING_PLAN_EFFECTIVE_AT = "pending_plan_effective_at"
    PENDING_SEAT_COUNT = "pending_seat_count"


ENDED_SUBSCRIPTION_STATUSES = frozenset(
    {TenantSubscriptionStatus.CANCELED, TenantSubscriptionStatus.INCOMPLETE_EXPIRED}
)
"""The states of a subscription that has ended; any other, known or not, is current."""

SETTLED_INVOICE_STATUSES = frozenset(
    {InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}
)
"""The states of an invoice that never opens again."""

UNSETTLED_INVOICE_STATUSES = frozenset({InvoiceStatus.DRAFT, InvoiceStatus.OPEN})
"""The states that an invoice has before it is settled."""
