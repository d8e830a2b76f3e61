"""What starting, changing and ending a subscription have in common; the tenant's lock first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agentdb.billing.entities import with_plan
from agentdb.billing.models import BillingPlan, TenantSubscription
from agentdb.billing.repository import BillingPlanRepository, TenantSubscriptionRepository
from agentdb.errors import ConflictError, InvalidTransitionError, NotFoundError
from agentdb.tenants.repository import TenantAccountRepository
from agentdb.unit import Unit


async def lock_tenant(unit: Unit, tenant_id: UUID | None) -> UUID:
    """Lock the tenant that a verb writes for until the unit ends, and return its id.

    Raises:
        NotFoundError: There is no such tenant.
    """
    tenant = unit.scope.owner(tenant_id)
    await TenantAccountRepository(unit).require(tenant, lock=True)
    return tenant


async def require_plan(unit: Unit, code: str, *, active: bool = False) -> BillingPlan:
    """Return a plan of the catalogue.

    Raises:
        NotFoundError: There is no such plan.
        InvalidTransitionError: It was deactivated, and an active one is asked for.
    """
    plan = await BillingPlanRepository(unit).by_code(code)
    if plan is None:
        raise NotFoundError("no such row of billing_plans")
    if active and not plan.is_active:
        raise InvalidTransitionError("the plan is not active")
    return plan


async def refuse_second(unit: Unit, tenant: UUID) -> None:
    """Refuse to make a subscription current where one is; under the tenant's lock.

    Raises:
        ConflictError: One is.
    """
    if await TenantSubscriptionRepository(unit).current(tenant_id=tenant) is not None:
        raise ConflictError("another subscription of the tenant is current")


async def store_subscription(
    unit: Unit, plan: BillingPlan, columns: Mapping[str, Any]
) -> TenantSubscription:
    """Store a new subscription to a plan."""
    values: dict[str, Any] = {**columns, "plan_id": plan.id}
    row = await TenantSubscriptionRepository(unit).add(TenantSubscription(**values))
    return with_plan(row, plan)
