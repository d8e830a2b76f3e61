"""Entities with what hangs on them."""

from __future__ import annotations

from sqlalchemy.orm.attributes import set_committed_value

from agentdb.billing.models import BillingPlan, TenantSubscription


def with_plan(row: TenantSubscription, plan: BillingPlan) -> TenantSubscription:
    """Return a subscription that shows its plan, which was read already."""
    set_committed_value(row, "plan", plan)
    return row
