"""What was used of a feature, and whether it may be used further."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, select

from agentdb.billing.models import PlanFeature, SubscriptionUsage, TenantSubscription
from agentdb.billing.rows import Decision, Usage
from agentdb.billing.statements import current_subscription
from agentdb.billing.values import LimitOutcome
from agentdb.checks import check_values
from agentdb.driver_errors import orm_errors
from agentdb.repository.counting import Insert, counting
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy.predicates import table_of
from agentdb.types import Text, UTCDateTime, Uuid
from agentdb.unit import Unit

_subscriptions = table_of(TenantSubscription)


@cache
def use_up(*, confined: bool, on_postgresql: bool) -> Insert:
    """Add to the use of a feature in a period, of a subscription that the unit may write."""
    key = UniqueKey.find(SubscriptionUsage, ["subscription_id", "feature_key", "period_start"])
    given = bindparam("subscription_id", type_=Uuid())
    own = select(_subscriptions.c.id).where(_subscriptions.c.id == given)
    if confined:
        own = own.where(_subscriptions.c.tenant_id == bindparam("tenant_id", type_=Uuid()))
    sums, stamps = {"quantity": None}, {"reported_at": True}
    return counting(SubscriptionUsage, key, exists(own), sums, stamps, on_postgresql=on_postgresql)


async def used_by_feature(
    unit: Unit,
    subscription_id: UUID,
    window: tuple[datetime, datetime | None],
    features: Iterable[str] | None,
) -> dict[str, Usage]:
    """Return the use by feature; a row counts in the window that its period begins in."""
    start, end = window
    where: list[ColumnElement[bool]] = [
        SubscriptionUsage.subscription_id == subscription_id,
        SubscriptionUsage.period_start >= UTCDateTime().check(start),
    ]
    if end is not None:
        where.append(SubscriptionUsage.period_start < end)
    if features is not None:
        where.append(SubscriptionUsage.feature_key.in_(sorted(_keys(features))))
    with orm_errors():
        rows = (await unit.session.execute(_sums().where(*where))).all()
    return {row.feature_key: Usage(int(row.quantity), row.records, row.reported_at) for row in rows}


def _keys(features: Iterable[str]) -> set[str]:
    return {Text().check(key) for key in check_values(features, "features")}


def _sums() -> Select[Any]:
    columns: tuple[Any, ...] = (
        SubscriptionUsage.feature_key,
        func.sum(SubscriptionUsage.quantity).label("quantity"),
        func.count().label("records"),
        func.max(SubscriptionUsage.reported_at).label("reported_at"),
    )
    query: Any = select(*columns)
    sums: Select[Any] = query.group_by(columns[0]).order_by(columns[0])
    return sums


async def decide(
    unit: Unit, tenant: UUID, feature: str, quantity: int, now: datetime | None
) -> Decision:
    """Compare the use in the current period, and *quantity* more, with the limits of the plan."""
    found = (await unit.execute(_limits(unit, tenant, feature, now))).one_or_none()
    if found is None:
        return Decision(LimitOutcome.ALLOW, 0, None, None, None)
    window = _period(found.now, found.current_period_start, found.current_period_end)
    used = (await used_by_feature(unit, found.id, window, [feature])).get(feature)
    quantity_used = used.quantity if used else 0
    outcome = _outcome(quantity_used + quantity, found.soft_limit, found.hard_limit)
    return Decision(outcome, quantity_used, found.soft_limit, found.hard_limit, found.id)


def _limits(unit: Unit, tenant: UUID, feature: str, now: datetime | None) -> Select[Any]:
    """Select the current subscription, the limits of its plan, and the clock."""
    clock = unit.now(now).label("now")
    query = current_subscription(
        tenant,
        TenantSubscription.id,
        TenantSubscription.current_period_start,
        TenantSubscription.current_period_end,
        PlanFeature.soft_limit,
        PlanFeature.hard_limit,
        clock,
    )
    of_plan = and_(
        PlanFeature.plan_id == TenantSubscription.plan_id, PlanFeature.feature_key == feature
    )
    return query.outerjoin(PlanFeature, of_plan)


def _period(
    now: datetime, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime | None]:
    """Return the current period; while the processor has not told of a new one, it is open."""
    if end is not None and end <= now:
        return end, None
    if start is not None:
        return start, end
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=31)).replace(day=1)


def _outcome(total: int, soft: int | None, hard: int | None) -> LimitOutcome:
    if hard is not None and total > hard:
        return LimitOutcome.HARD_LIMIT
    if soft is not None and total > soft:
        return LimitOutcome.SOFT_LIMIT
    return LimitOutcome.ALLOW
