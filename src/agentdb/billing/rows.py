"""What goes into the verbs of billing, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypedDict
from uuid import UUID

from agentdb.billing.models import SubscriptionInvoice, TenantSubscription
from agentdb.billing.values import LimitOutcome, PlanInterval, UsageUnit
from agentdb.types import JsonObject


class FeatureFields(TypedDict, total=False):
    """Columns of a feature; what is not given stays as it is."""

    display_name: str | None
    description: str | None
    hard_limit: int | None
    soft_limit: int | None
    is_metered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeature:
    """A feature of a plan, as the catalogue is to have it.

    Attributes:
        hard_limit: Use beyond it is refused; None for no limit.
        soft_limit: Use beyond it is reported; not above the hard one.
    """

    feature_key: str
    display_name: str | None = None
    description: str | None = None
    hard_limit: int | None = None
    soft_limit: int | None = None
    is_metered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlan:
    """A plan, as the catalogue is to have it.

    Attributes:
        code: What the plan is known by.
        price_cents: In the smallest unit of the currency, 0 or more.
        interval_count: Intervals that the price is for, 1 or more.
        currency: ISO 4217, three upper-case letters.
        trial_days: 0 or more.
    """

    code: str
    name: str
    price_cents: int
    interval: str = PlanInterval.MONTHLY
    interval_count: int = 1
    currency: str = "USD"
    trial_days: int | None = None
    seat_included: int | None = None
    feature_toggles: JsonObject | None = None
    is_active: bool = True
    features: tuple[NewFeature, ...] | list[NewFeature] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueDiff:
    """What a synchronisation changed, or on a dry run would change; falsy where nothing.

    Attributes:
        created: Codes of new plans.
        updated: Codes of plans of which a column changed.
        deactivated: Codes of active plans that are not in the list.
        features_created: New features, each the code of its plan and its key.
        features_updated: Features of which a column changed.
        features_removed: Features that the list does not give to their plan.
    """

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    features_created: tuple[tuple[str, str], ...] = ()
    features_updated: tuple[tuple[str, str], ...] = ()
    features_removed: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        plans = self.created or self.updated or self.deactivated
        return bool(
            plans or self.features_created or self.features_updated or self.features_removed
        )


class Limit(NamedTuple):
    """How much of a feature the current plan includes.

    Attributes:
        soft: Use beyond it is reported; None for no limit.
        hard: Use beyond it is refused; None for no limit.
    """

    feature_key: str
    soft: int | None
    hard: int | None
    is_metered: bool


class Usage(NamedTuple):
    """What was used of a feature in a window of time.

    Attributes:
        quantity: The sum.
        records: The rows that it is the sum of.
        reported_at: The last report among them.
    """

    quantity: int
    records: int
    reported_at: datetime


class Decision(NamedTuple):
    """Whether a feature may be used.

    Attributes:
        outcome: ``allow``, ``soft_limit`` (allowed and worth a warning) or ``hard_limit``.
        used: What was used of it in the current period, without what is asked for.
        soft: The soft limit of the plan; None for none.
        hard: The hard limit of the plan; None for none.
        subscription_id: The current subscription; None where the tenant has none.
    """

    outcome: LimitOutcome
    used: int
    soft: int | None
    hard: int | None
    subscription_id: UUID | None


class SubscriptionEdit(TypedDict, total=False):
    """What a tenant changes in its subscription; what is not given stays as it is."""

    auto_renew: bool
    billing_email: str | None
    seat_count: int | None


class SubscriptionFields(SubscriptionEdit, total=False):
    """Optional columns of a subscription; what a snapshot lacks stays as it is."""

    processor_customer_id: str | None
    starts_at: datetime
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_ends_at: datetime | None
    cancel_at: datetime | None


class SnapshotFields(SubscriptionFields, total=False):
    """What a processor tells of a subscription; the last four are kept in its metadata."""

    processor_status: str | None
    processor_price_id: str | None
    processor_schedule_id: str | None
    processor_subscription_item_id: str | None


class AppliedSnapshot(NamedTuple):
    """What a snapshot has left.

    Attributes:
        subscription: The subscription, with its plan.
        applied: False if a later snapshot was there before: nothing was written.
    """

    subscription: TenantSubscription
    applied: bool


class InvoiceFields(TypedDict, total=False):
    """Optional columns of an invoice; what is not given stays as it is."""

    currency: str
    status: str
    hosted_invoice_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvoice:
    """An invoice, as the processor reports it.

    Attributes:
        amount_cents: In the smallest unit of the currency.
        external_invoice_id: The processor's id, by which a second delivery is recognised.
        hosted_invoice_url: Where it can be paid; one of over 256 characters is left out.
    """

    period_start: datetime
    period_end: datetime
    amount_cents: int
    external_invoice_id: str | None = None
    currency: str = "USD"
    status: str = "draft"
    hosted_invoice_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """A metered line of an invoice.

    Attributes:
        external_event_id: By which a second delivery is recognised.
    """

    feature_key: str
    quantity: int
    period_start: datetime
    period_end: datetime
    external_event_id: str
    unit: str = UsageUnit.UNITS


class IngestedInvoice(NamedTuple):
    """What the delivery of an invoice has left.

    Attributes:
        invoice: The stored invoice.
        created: Whether it is new.
        url_dropped: Whether its hosted URL was too long to be stored.
    """

    invoice: SubscriptionInvoice
    created: bool
    url_dropped: bool
