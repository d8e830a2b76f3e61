"""Subscriptions of tenants, current and ended."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import joinedload, selectinload
from typing_extensions import Unpack

from agentdb.billing.checks import subscription_columns
from agentdb.billing.entities import with_plan
from agentdb.billing.models import TenantSubscription
from agentdb.billing.rows import SubscriptionEdit
from agentdb.billing.statements import NEWEST, NOT_ENDED
from agentdb.checks import check_fields
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenants.repository import TenantAccountRepository


class TenantSubscriptionRepository(Repository[TenantSubscription, UUID]):
    """Subscriptions of tenants, current and ended."""

    model = TenantSubscription

    async def current(
        self, *, lock: bool = False, tenant_id: UUID | None = None
    ) -> TenantSubscription | None:
        """Return the tenant's subscription that has not ended, with its plan, if any.

        Should there be several, the one that started last: it never raises for that.

        Args:
            lock: Lock the row until the unit ends. To decide whether one may be started, lock the
                tenant before.
            tenant_id: The tenant, in a system unit.
        """
        tenant = self.unit.scope.owner(tenant_id)
        query = self._select(TenantSubscription.tenant_id == tenant, NOT_ENDED)
        return await self._first_with_plan(query, lock=lock)

    async def by_processor_id(
        self,
        processor: str,
        processor_subscription_id: str,
        *,
        lock: bool = False,
        tenant_id: UUID | None = None,
    ) -> TenantSubscription | None:
        """Return the subscription that a processor knows by this id, with its plan, if any.

        Should there be several, the one that started last.

        Args:
            processor: The payment processor.
            processor_subscription_id: Its id.
            lock: Lock the row until the unit ends.
            tenant_id: The tenant; a system unit that names none looks at all of them.
        """
        tenant = self.unit.scope.filter(tenant_id)
        where = [
            TenantSubscription.processor_subscription_id == processor_subscription_id,
            TenantSubscription.processor == processor,
        ]
        where += [] if tenant is None else [TenantSubscription.tenant_id == tenant]
        return await self._first_with_plan(self._select(*where), lock=lock)

    async def _first_with_plan(
        self, query: Select[TenantSubscription], *, lock: bool
    ) -> TenantSubscription | None:
        # Under a lock by a statement of its own: PostgreSQL evaluates a join anew for a row that it
        # waited for, but with the plan that the row had before, and loses it if that was changed.
        load = selectinload if lock else joinedload
        query = query.options(load(TenantSubscription.plan)).order_by(*NEWEST).limit(1)
        if lock:
            query = query.with_for_update(key_share=True)
        return (await self._entities(query)).one_or_none()

    async def edit(
        self, *, tenant_id: UUID | None = None, **fields: Unpack[SubscriptionEdit]
    ) -> TenantSubscription:
        """Change what a tenant may change in its current subscription, under the tenant's lock.

        Args:
            tenant_id: The tenant, in a system unit.
            fields: What to set.

        Raises:
            NotFoundError: The tenant has no current subscription.
            InvalidValueError: The address is none, the number of seats is below 0, or a column
                refuses its value.
        """
        check_fields(fields, SubscriptionEdit)
        tenant = self.unit.scope.owner(tenant_id)
        values = subscription_columns(fields)
        await TenantAccountRepository(self.unit).require(tenant, lock=True)
        current = await self.current(lock=True, tenant_id=tenant)
        if current is None:
            raise self._not_found()
        plan = current.plan
        return with_plan(await self.update(current.id, **values), plan)

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
