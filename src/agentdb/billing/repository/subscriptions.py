"""Subscriptions of tenants, current and ended."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import joinedload

from agentdb.billing.models import (
    TenantSubscription,
)
from agentdb.billing.values import ENDED_SUBSCRIPTION_STATUSES
from agentdb.paging import Page
from agentdb.repository import Repository


class TenantSubscriptionRepository(Repository[TenantSubscription, UUID]):
    """Subscriptions of tenants, current and ended."""

    model = TenantSubscription

    async def current(self, *, tenant_id: UUID | None = None) -> TenantSubscription | None:
        """Return the tenant's subscription that has not ended, with its plan, if any.

        Should there be several, the one that started last.

        Args:
            tenant_id: The tenant, in a system unit.
        """
        tenant = self.unit.scope.owner(tenant_id)
        started = TenantSubscription.starts_at.desc()
        query = (
            self._select(
                TenantSubscription.tenant_id == tenant,
                TenantSubscription.status.not_in(sorted(ENDED_SUBSCRIPTION_STATUSES)),
            )
            .options(joinedload(TenantSubscription.plan))
            .order_by(started, TenantSubscription.created_at.desc(), TenantSubscription.id.desc())
            .limit(1)
        )
        return (await self._entities(query)).one_or_none()

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
