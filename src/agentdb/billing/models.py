"""Plans, subscriptions, invoices, metered usage."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from agentdb.billing.values import InvoiceStatus, PlanInterval, TenantSubscriptionStatus
from agentdb.columns import (
    Bool,
    Instant,
    Int,
    JsonDict,
    LongText,
    Str3,
    Str16,
    Str24,
    Str32,
    Str64,
    Str128,
    Str256,
    UuidRef,
)
from agentdb.orm import Base, Created, NumberKey, Tenancy, Timestamps, UuidKey, partial
from agentdb.types import UTC_NOW, Choice


class BillingPlan(UuidKey, Timestamps, Base):
    """A plan of the catalogue. Deactivated rather than deleted once a subscription uses it."""

    __tablename__ = "billing_plans"
    __tenancy__ = Tenancy.shared()
    __table_args__ = (UniqueConstraint("code"),)

    code: Mapped[Str64]
    name: Mapped[Str128]
    interval: Mapped[str] = mapped_column(
        Choice(tuple(PlanInterval), 16), default=PlanInterval.MONTHLY
    )
    interval_count: Mapped[Int] = mapped_column(default=1)
    price_cents: Mapped[Int]
    """In the smallest unit of the currency."""
    currency: Mapped[Str3] = mapped_column(default="USD")
    """ISO 4217, upper case."""
    trial_days: Mapped[Int | None] = mapped_column(default=None)
    seat_included: Mapped[Int | None] = mapped_column(default=None)
    feature_toggles: Mapped[JsonDict | None] = mapped_column(default=None)
    is_active: Mapped[Bool] = mapped_column(default=True)

    features: Mapped[list["PlanFeature"]] = relationship(
        back_populates="plan",
        order_by="PlanFeature.feature_key",
        lazy="raise",
        passive_deletes="all",
        init=False,
        repr=False,
    )


class PlanFeature(NumberKey, Created, Base):
    """A feature of a plan, with its limits."""

    __tablename__ = "plan_features"
    __tenancy__ = Tenancy.shared()
    __table_args__ = (UniqueConstraint("plan_id", "feature_key"), {"sqlite_autoincrement": True})

    plan_id: Mapped[UuidRef] = mapped_column(ForeignKey("billing_plans.id", ondelete="CASCADE"))
    feature_key: Mapped[Str64]
    display_name: Mapped[Str128 | None] = mapped_column(default=None)
    description: Mapped[LongText | None] = mapped_column(default=None)
    hard_limit: Mapped[Int | None] = mapped_column(default=None)
    """Use beyond it is refused; beyond ``soft_limit`` it is reported."""
    soft_limit: Mapped[Int | None] = mapped_column(default=None)
    is_metered: Mapped[Bool] = mapped_column(default=False)

    plan: Mapped[BillingPlan] = relationship(
        back_populates="features", lazy="raise", init=False, repr=False
    )


class TenantSubscription(UuidKey, Timestamps, Base):
    """A tenant's subscription to a plan; at most one is current, ended ones are history."""

    __tablename__ = "tenant_subscriptions"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        Index("ix_tenant_subscriptions_tenant_status", "tenant_id", "status"),
        Index("ix_tenant_subscriptions_plan_id", "plan_id"),
        partial(
            "ix_tenant_subscriptions_processor",
            "processor_subscription_id",
            where="processor_subscription_id IS NOT NULL",
        ),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    plan_id: Mapped[UuidRef] = mapped_column(ForeignKey("billing_plans.id", ondelete="RESTRICT"))
    status: Mapped[Str24] = mapped_column(default=TenantSubscriptionStatus.ACTIVE)
    auto_renew: Mapped[Bool] = mapped_column(default=True)
    billing_email: Mapped[Str256 | None] = mapped_column(default=None)
    processor: Mapped[Str32 | None] = mapped_column(default=None)
    processor_customer_id: Mapped[Str128 | None] = mapped_column(default=None)
    processor_subscription_id: Mapped[Str128 | None] = mapped_column(default=None)
    starts_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    current_period_start: Mapped[Instant | None] = mapped_column(default=None)
    current_period_end: Mapped[Instant | None] = mapped_column(default=None)
    trial_ends_at: Mapped[Instant | None] = mapped_column(default=None)
    cancel_at: Mapped[Instant | None] = mapped_column(default=None)
    seat_count: Mapped[Int | None] = mapped_column(default=None)
    metadata_json: Mapped[JsonDict | None] = mapped_column(default=None)
    """Includes the reserved keys of ``SubscriptionMetadataKey``."""

    plan: Mapped[BillingPlan] = relationship(lazy="raise", init=False, repr=False)


class SubscriptionInvoice(UuidKey, Created, Base):
    """An invoice as the payment processor reports it; a settled one never reopens."""

    __tablename__ = "subscription_invoices"
    __tenancy__ = Tenancy.via("subscription_id", "tenant_subscriptions")
    __table_args__ = (
        Index("ix_subscription_invoices_subscription_period", "subscription_id", "period_start"),
        partial(
            "ix_subscription_invoices_external",
            "external_invoice_id",
            where="external_invoice_id IS NOT NULL",
        ),
    )

    subscription_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("tenant_subscriptions.id", ondelete="CASCADE")
    )
    period_start: Mapped[Instant]
    period_end: Mapped[Instant]
    amount_cents: Mapped[Int]
    """In the smallest unit of the currency."""
    currency: Mapped[Str3] = mapped_column(default="USD")
    status: Mapped[Str16] = mapped_column(default=InvoiceStatus.DRAFT)
    external_invoice_id: Mapped[Str128 | None] = mapped_column(default=None)
    """The processor's id, by which a second delivery is recognised."""
    hosted_invoice_url: Mapped[Str256 | None] = mapped_column(default=None)


class SubscriptionUsage(UuidKey, Base):
    """Metered use of a feature, added up by period or recorded once per external event."""

    __tablename__ = "subscription_usage"
    __tenancy__ = Tenancy.via("subscription_id", "tenant_subscriptions")
    __table_args__ = (
        UniqueConstraint("subscription_id", "feature_key", "period_start"),
        partial(
            "ix_subscription_usage_external_event",
            "external_event_id",
            "subscription_id",
            "feature_key",
            where="external_event_id IS NOT NULL",
        ),
    )

    subscription_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("tenant_subscriptions.id", ondelete="CASCADE")
    )
    feature_key: Mapped[Str64]
    unit: Mapped[Str32]
    period_start: Mapped[Instant]
    """Unique within the feature: a further event of one instant moves on by a microsecond."""
    period_end: Mapped[Instant]
    quantity: Mapped[Int]
    reported_at: Mapped[Instant] = mapped_column(insert_default=UTC_NOW, default_factory=UTC_NOW)
    external_event_id: Mapped[Str128 | None] = mapped_column(default=None)
    """The meter event's id; a repeated one records nothing."""
