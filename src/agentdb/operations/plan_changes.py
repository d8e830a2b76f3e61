"""Moving a subscription to another plan, at once or at the end of its period."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from agentdb.billing.checks import check_columns
from agentdb.billing.entities import with_plan
from agentdb.billing.metadata import with_pending, without_pending
from agentdb.billing.models import BillingPlan, TenantSubscription
from agentdb.billing.subscribing import lock_tenant, require_plan
from agentdb.billing.values import PlanTiming
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.unit_of_work import UnitOfWork


async def change_plan(
    uow: UnitOfWork,
    plan_code: str,
    *,
    seat_count: int | None = None,
    timing: str = PlanTiming.AUTO,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> TenantSubscription:
    """Move the current subscription of a tenant to another plan, under the tenant's lock.

    A change at the end of the period is noted in the metadata, in place of any that waits there;
    `maintenance.apply_pending_plans` applies it when it is due, or a snapshot that tells of the
    new plan removes it. A change at once removes it too, and so a change to the present plan takes
    a waiting one back.

    The payment processor is not called: do so before, in no unit of work, or after the commit.

    Args:
        uow: A unit of work.
        plan_code: The plan; one that was deactivated is refused unless it is the present one.
        seat_count: The number of seats from then on; None leaves it.
        timing: ``immediate``, ``period_end``, or ``auto``: at once for a dearer plan of the same
            interval and currency and for more seats of the present plan, else at the end of the
            period. Where no period is under way, every change is at once.
        tenant_id: The tenant, in a system unit.
        now: The clock that tells whether a period is under way.

    Returns:
        The subscription, with its plan.

    Raises:
        NotFoundError: The tenant has no current subscription, or there is no such plan.
        InvalidTransitionError: The plan is not active.
        InvalidValueError: The timing is none of the three, or the number of seats is below 0.
    """
    if timing not in tuple(PlanTiming):
        raise InvalidValueError(f"expects one of {', '.join(PlanTiming)}")
    seats = {} if seat_count is None else {"seat_count": seat_count}
    check_columns(TenantSubscription, seats)
    tenant = await lock_tenant(uow, tenant_id)
    row = await uow.tenant_subscriptions.current(lock=True, tenant_id=tenant)
    if row is None:
        raise NotFoundError("no such row of tenant_subscriptions")
    present = row.plan
    plan = present
    if plan_code != present.code:
        plan = await require_plan(uow, plan_code, active=True)
    end = row.current_period_end
    waits = timing == PlanTiming.PERIOD_END or (
        timing == PlanTiming.AUTO and not _at_once(row, plan, seat_count)
    )
    if waits and end is not None and end > await uow.read_clock(now):
        values: dict[str, Any] = {}
        metadata = with_pending(row.metadata_json, plan.code, end, seat_count)
        plan = present
    else:
        values = {"plan_id": plan.id, **seats}
        metadata = without_pending(row.metadata_json)
    changed = await uow.tenant_subscriptions.update(row.id, metadata_json=metadata, **values)
    return with_plan(changed, plan)


def _at_once(row: TenantSubscription, plan: BillingPlan, seats: int | None) -> bool:
    """Return whether the tenant pays more from now on, for what it can be billed for now."""
    if plan is row.plan:
        return seats is None or seats >= (row.seat_count or 0)
    return plan.price_cents > row.plan.price_cents and _billed_as(plan) == _billed_as(row.plan)


def _billed_as(plan: BillingPlan) -> tuple[str, int, str]:
    return plan.interval, plan.interval_count, plan.currency
