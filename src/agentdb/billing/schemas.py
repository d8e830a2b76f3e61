"""Schemas of plans, subscriptions, invoices and usage."""

from pydantic import Field

from agentdb.billing.values import InvoiceStatus, PlanInterval, TenantSubscriptionStatus
from agentdb.columns import (
    Bool,
    Int,
    JsonDict,
    LongText,
    RowNumber,
    Str3,
    Str16,
    Str24,
    Str32,
    Str64,
    Str128,
    Str256,
    UuidRef,
)
from agentdb.schema import AwareInstant, CreateSchema, EmailAddress, Name128, ReadSchema
from agentdb.types import utc_now


class BillingPlanRead(ReadSchema):
    """A plan of the catalogue."""

    id: UuidRef
    code: Str64
    name: Str128
    interval: Str16
    interval_count: Int
    price_cents: Int
    """In the smallest unit of the currency."""
    currency: Str3
    """ISO 4217, upper case."""
    trial_days: Int | None
    seat_included: Int | None
    feature_toggles: JsonDict | None
    is_active: Bool
    created_at: AwareInstant
    updated_at: AwareInstant


class BillingPlanCreate(CreateSchema):
    """A plan for the catalogue."""

    code: Str64
    name: Name128
    interval: PlanInterval = PlanInterval.MONTHLY
    interval_count: Int = 1
    price_cents: Int
    """In the smallest unit of the currency."""
    currency: Str3 = "USD"
    """ISO 4217, upper case."""
    trial_days: Int | None = None
    seat_included: Int | None = None
    feature_toggles: JsonDict | None = None
    is_active: Bool = True


class PlanFeatureRead(ReadSchema):
    """A feature of a plan, with its limits."""

    id: RowNumber
    plan_id: UuidRef
    feature_key: Str64
    display_name: Str128 | None
    description: LongText | None
    hard_limit: Int | None
    """Use beyond it is refused."""
    soft_limit: Int | None
    """Use beyond it is reported."""
    is_metered: Bool
    created_at: AwareInstant


class PlanFeatureCreate(CreateSchema):
    """A feature for a plan, with its limits."""

    plan_id: UuidRef
    feature_key: Str64
    display_name: Name128 | None = None
    description: LongText | None = None
    hard_limit: Int | None = None
    soft_limit: Int | None = None
    is_metered: Bool = False


class TenantSubscriptionRead(ReadSchema):
    """A tenant's subscription to a plan."""

    id: UuidRef
    tenant_id: UuidRef
    plan_id: UuidRef
    status: Str24
    auto_renew: Bool
    billing_email: Str256 | None
    processor: Str32 | None
    processor_customer_id: Str128 | None
    processor_subscription_id: Str128 | None
    starts_at: AwareInstant
    current_period_start: AwareInstant | None
    current_period_end: AwareInstant | None
    trial_ends_at: AwareInstant | None
    cancel_at: AwareInstant | None
    seat_count: Int | None
    metadata_json: JsonDict | None
    created_at: AwareInstant
    updated_at: AwareInstant


class TenantSubscriptionCreate(CreateSchema):
    """A subscription to be started."""

    tenant_id: UuidRef
    plan_id: UuidRef
    status: Str24 = TenantSubscriptionStatus.ACTIVE
    auto_renew: Bool = True
    billing_email: EmailAddress | None = None
    processor: Str32 | None = None
    processor_customer_id: Str128 | None = None
    processor_subscription_id: Str128 | None = None
    starts_at: AwareInstant = Field(default_factory=utc_now)
    current_period_start: AwareInstant | None = None
    current_period_end: AwareInstant | None = None
    trial_ends_at: AwareInstant | None = None
    cancel_at: AwareInstant | None = None
    seat_count: Int | None = None
    metadata_json: JsonDict | None = None


class SubscriptionInvoiceRead(ReadSchema):
    """An invoice as the payment processor reports it."""

    id: UuidRef
    subscription_id: UuidRef
    period_start: AwareInstant
    period_end: AwareInstant
    amount_cents: Int
    """In the smallest unit of the currency."""
    currency: Str3
    status: Str16
    external_invoice_id: Str128 | None
    hosted_invoice_url: Str256 | None
    created_at: AwareInstant


class SubscriptionInvoiceCreate(CreateSchema):
    """An invoice that the payment processor reports."""

    subscription_id: UuidRef
    period_start: AwareInstant
    period_end: AwareInstant
    amount_cents: Int
    """In the smallest unit of the currency."""
    currency: Str3 = "USD"
    status: Str16 = InvoiceStatus.DRAFT
    external_invoice_id: Str128 | None = None
    hosted_invoice_url: Str256 | None = None


class SubscriptionUsageRead(ReadSchema):
    """Metered use of a feature."""

    id: UuidRef
    subscription_id: UuidRef
    feature_key: Str64
    unit: Str32
    period_start: AwareInstant
    period_end: AwareInstant
    quantity: Int
    reported_at: AwareInstant
    external_event_id: Str128 | None
    """The meter event's id."""


class SubscriptionUsageCreate(CreateSchema):
    """Metered use of a feature, to be recorded."""

    subscription_id: UuidRef
    feature_key: Str64
    unit: Str32
    period_start: AwareInstant
    period_end: AwareInstant
    quantity: Int
    reported_at: AwareInstant = Field(default_factory=utc_now)
    external_event_id: Str128 | None = None
