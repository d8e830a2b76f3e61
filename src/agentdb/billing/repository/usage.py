"""Metered use of features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from agentdb.billing.instants import free_instant
from agentdb.billing.metering import decide, use_up, used_by_feature
from agentdb.billing.models import SubscriptionUsage
from agentdb.billing.repository.subscriptions import TenantSubscriptionRepository
from agentdb.billing.rows import Decision, Usage
from agentdb.billing.values import UsageUnit
from agentdb.errors import InvalidValueError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.counting import add_up, room, sum_exceeds
from agentdb.tenancy.predicates import table_of
from agentdb.types import uuid_pk

_KEY = ("subscription_id", "feature_key", "period_start")
"""What a row is known by."""


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
        values = self._values(
            subscription_id, feature_key, quantity, period_start, period_end, unit=unit
        )
        tenant = self.unit.tenant
        own = {"id": uuid_pk(), "external_event_id": None, "tenant_id": tenant}
        used = {**values, **own, **room(SubscriptionUsage, {"quantity": quantity})}
        confined, on_postgresql = tenant is not None, self.unit.is_postgresql
        statement = use_up(confined=confined, on_postgresql=on_postgresql)
        row = await add_up(self.unit, SubscriptionUsage, statement, used, now)
        if row is None:
            await TenantSubscriptionRepository(self.unit).require(subscription_id)
            raise sum_exceeds(SubscriptionUsage, ["quantity"])
        return row

    async def record_once(
        self,
        subscription_id: UUID,
        feature_key: str,
        quantity: int,
        period_start: datetime,
        period_end: datetime,
        *,
        external_event_id: str,
        unit: str = UsageUnit.UNITS,
        now: datetime | None = None,
    ) -> tuple[SubscriptionUsage, bool]:
        """Store the use that an event of a meter tells, once, in a row of its own.

        N concurrent calls with one id leave one row, those with N ids leave N: the subscription is
        locked until the unit ends. As a row is known by its `period_start`, a taken one moves on to
        a free microsecond: the next one, or where 64 in a row are taken, one at the end of such a
        run. A later `increment` for the very same instant adds to the row, so that sums are exact.

        Args:
            subscription_id: The subscription.
            feature_key: The feature; an event may tell of several, each under its id.
            quantity: How much, 0 or more.
            period_start: The instant of the event, or the first of its period.
            period_end: The first instant after it.
            external_event_id: The event, 1 to 128 characters; known within the subscription and
                feature.
            unit: What is counted.
            now: The clock of the report.

        Returns:
            The row, and whether it is new; that of a repeated id is as the first call left it.

        Raises:
            NotFoundError: The tenant has no such subscription.
            InvalidValueError: As of `increment`, or the id is empty.
        """
        values = self._values(
            subscription_id, feature_key, quantity, period_start, period_end, unit=unit
        )
        if not external_event_id:
            expected = "expects text of 1 character or more"
            raise InvalidValueError(
                expected, table="subscription_usage", column="external_event_id"
            )
        await TenantSubscriptionRepository(self.unit).require(subscription_id, lock=True)
        known = await self.find(
            SubscriptionUsage.external_event_id == external_event_id,
            SubscriptionUsage.subscription_id == subscription_id,
            SubscriptionUsage.feature_key == feature_key,
        )
        if known is not None:
            return known, False
        values["reported_at"] = await self.unit.read_clock(now)
        return await self._insert({**values, "external_event_id": external_event_id}), True

    async def _insert(self, values: dict[str, Any]) -> SubscriptionUsage:
        """Insert a row at the first instant that is free; `increment` takes instants meanwhile."""
        row, created = await self.upsert(values, _KEY, update=())
        while not created:
            start = await free_instant(
                self.unit, row.subscription_id, row.feature_key, values["period_start"]
            )
            moved = {"period_start": start, "period_end": max(start, values["period_end"])}
            row, created = await self.upsert({**values, **moved}, _KEY, update=())
        return row

    def _values(
        self,
        subscription_id: UUID,
        feature_key: str,
        quantity: int,
        period_start: datetime,
        period_end: datetime,
        *,
        unit: str,
    ) -> dict[str, Any]:
        """Return the columns of a row, checked as far as the database does not."""
        self.unit.check_writable(self.model)
        _check_quantity(quantity)
        columns: Any = table_of(self.model).c
        start, end = (
            columns[name].type.check(instant)
            for name, instant in (("period_start", period_start), ("period_end", period_end))
        )
        if end < start:
            raise InvalidValueError("a period ends after it has begun")
        return {
            "subscription_id": subscription_id,
            "feature_key": feature_key,
            "unit": unit,
            "period_start": start,
            "period_end": end,
            "quantity": quantity,
        }

    async def totals(
        self,
        subscription_id: UUID,
        start: datetime,
        end: datetime,
        *,
        feature_keys: Sequence[str] | None = None,
    ) -> dict[str, Usage]:
        """Return what was used by feature; those that were not used are left out.

        A row counts in the window that its period begins in, and so in one of several that follow
        each other. One statement.

        Args:
            subscription_id: The subscription; another tenant's has used nothing.
            start: The first instant of the window.
            end: The first instant after it.
            feature_keys: Only these features; None for all.
        """
        return await used_by_feature(self.unit, subscription_id, (start, end), feature_keys)

    async def decide(
        self,
        feature_key: str,
        *,
        quantity: int = 0,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> Decision:
        """Tell whether the tenant may use *quantity* more of a feature in the current period.

        Nothing is counted or reserved: concurrent calls may all be allowed the same rest. The
        period is that of the current subscription; after its end, until a new one is known, what
        follows it; the calendar month in UTC where the subscription has none. Without a
        subscription, or without a limit in its plan, the answer is ``allow``. Two statements.

        Args:
            feature_key: The feature.
            quantity: How much is asked for, 0 or more.
            tenant_id: The tenant, in a system unit.
            now: The clock that tells the period.

        Raises:
            InvalidValueError: The quantity is no whole number from 0.
        """
        tenant = self.unit.scope.owner(tenant_id)
        _check_quantity(quantity)
        return await decide(self.unit, tenant, feature_key, quantity, now)

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionUsage]:
        """Return a page of the subscription's usage, newest period first."""
        return await self._newest(
            SubscriptionUsage.subscription_id == subscription_id, after=after, limit=limit
        )


def _check_quantity(quantity: int) -> None:
    if type(quantity) is not int or quantity < 0:
        expected = "expects a whole number from 0"
        raise InvalidValueError(expected, table="subscription_usage", column="quantity")
