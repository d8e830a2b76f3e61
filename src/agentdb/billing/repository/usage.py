"""Metered use of features."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, literal

from agentdb.billing.models import (
    SubscriptionUsage,
)
from agentdb.billing.values import UsageUnit
from agentdb.errors import InvalidValueError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.counting import add_up
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy.predicates import table_of
from agentdb.types import Integer, UTCDateTime


class SubscriptionUsageRepository(Repository[SubscriptionUsage, UUID]):
    """Metered use of features."""

    model = SubscriptionUsage
    newest = "period_start"

    async def increment(
        self,
        subscription_id: UUID,
        feature_key: str,
        quantity: int,
        period_start: datetime,
        period_end: datetime,
        *,
        unit: str = UsageUnit.UNITS,
        now: datetime | None = None,
    ) -> SubscriptionUsage:
        """Add to the use of a feature in a period; N concurrent calls are all counted.

        Args:
            subscription_id: The subscription.
            feature_key: The feature.
            quantity: How much, 0 or more.
            period_start: The first instant of the period, which its row is known by.
            period_end: The first instant after it.
            unit: What is counted; a present row keeps its own.
            now: The clock of the report.

        Raises:
            NotFoundError: The tenant has no such subscription.
            InvalidValueError: The quantity is no whole number from 0, the period ends before it
                begins, or a column refuses its value.
            ValueOutOfRangeError: The sum exceeds 32 bits.
        """
        self.unit.check_writable(self.model)
        if type(quantity) is not int or quantity < 0:
            expected = "expects a whole number from 0"
            raise InvalidValueError(expected, table="subscription_usage", column="quantity")
        values = {
            "subscription_id": subscription_id,
            "feature_key": feature_key,
            "unit": unit,
            "period_start": period_start,
            "period_end": period_end,
            "quantity": quantity,
            "reported_at": await self.unit.read_clock(now),
        }
        if period_end < period_start:
            raise InvalidValueError("a period ends after it has begun")
        key = UniqueKey.find(self.model, ["subscription_id", "feature_key", "period_start"])
        table = table_of(self.model)
        changes: dict[str, ColumnElement[Any]] = {
            "quantity": table.c.quantity + literal(quantity, Integer()),
            "reported_at": literal(values["reported_at"], UTCDateTime()),
        }
        return await add_up(self.unit, self.model, values, key, changes)

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionUsage]:
        """Return a page of the subscription's usage, newest period first."""
        return await self._newest(
            SubscriptionUsage.subscription_id == subscription_id, after=after, limit=limit
        )
