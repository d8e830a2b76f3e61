"""Plans and their features, subscriptions, invoices and metered use."""

from __future__ import annotations

from uuid import UUID

from agentdb.billing.models import (
    BillingPlan,
    PlanFeature,
    SubscriptionInvoice,
    SubscriptionUsage,
    TenantSubscription,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class BillingPlanRepository(Repository[BillingPlan, UUID]):
    """The catalogue of plans."""

    model = BillingPlan

    async def by_code(self, code: str) -> BillingPlan | None:
        """Return the plan with this code, if any."""
        return await self._by(BillingPlan.code, code)


class PlanFeatureRepository(Repository[PlanFeature, int]):
    """What plans include, and up to which limits."""

    model = PlanFeature

    async def for_plan(
        self, plan_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PlanFeature]:
        """Return a page of the plan's features, newest first."""
        return await self._newest(PlanFeature.plan_id == plan_id, after=after, limit=limit)


class TenantSubscriptionRepository(Repository[TenantSubscription, UUID]):
    """Subscriptions of tenants, current and ended."""

    model = TenantSubscription

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSubscription]:
        """Return a page of the tenant's subscriptions, newest first."""
        return await self._newest(
            TenantSubscription.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_plan(
        self, plan_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSubscription]:
        """Return a page of the subscriptions to the plan, newest first."""
        return await self._newest(TenantSubscription.plan_id == plan_id, after=after, limit=limit)


class SubscriptionInvoiceRepository(Repository[SubscriptionInvoice, UUID]):
    """Invoices, as the payment processor reports them."""

    model = SubscriptionInvoice
    newest = "period_start"

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionInvoice]:
        """Return a page of the subscription's invoices, newest period first."""
        return await self._newest(
            SubscriptionInvoice.subscription_id == subscription_id, after=after, limit=limit
        )


class SubscriptionUsageRepository(Repository[SubscriptionUsage, UUID]):
    """Metered use of features."""

    model = SubscriptionUsage
    newest = "period_start"

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionUsage]:
        """Return a page of the subscription's usage, newest period first."""
        return await self._newest(
            SubscriptionUsage.subscription_id == subscription_id, after=after, limit=limit
        )
