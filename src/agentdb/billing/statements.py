"""The statements about subscriptions that several verbs share."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select

from agentdb.billing.models import TenantSubscription
from agentdb.billing.values import ENDED_SUBSCRIPTION_STATUSES

NOT_ENDED: ColumnElement[bool] = TenantSubscription.status.not_in(
    sorted(ENDED_SUBSCRIPTION_STATUSES)
)
"""The condition that a subscription is current; any state but an ending one is, known or not."""

NEWEST: tuple[ColumnElement[Any], ...] = (
    TenantSubscription.starts_at.desc(),
    TenantSubscription.created_at.desc(),
    TenantSubscription.id.desc(),
)
"""The order of subscriptions, should several be current: the first one counts."""


def current_subscription(tenant: UUID, *columns: Any) -> Select[Any]:
    """Select columns of the tenant's current subscription."""
    query: Any = select(*columns).where(TenantSubscription.tenant_id == tenant, NOT_ENDED)
    newest: Select[Any] = query.order_by(*NEWEST).limit(1)
    return newest
