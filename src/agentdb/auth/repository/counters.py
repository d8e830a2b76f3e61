"""Consumption by tenant, user and period."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import literal

from agentdb.auth.counters import check_period, counter_changes, counter_key
from agentdb.auth.models import (
    UsageCounter,
)
from agentdb.auth.values import UsageCounterGranularity
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.counting import add_up
from agentdb.types import UTCDateTime


class UsageCounterRepository(Repository[UsageCounter, UUID]):
    """Consumption by tenant, user and period."""

    model = UsageCounter
    newest = "period_start"

    async def increment(
        self,
        user_id: UUID | None,
        period_start: date,
        *,
        granularity: UsageCounterGranularity = UsageCounterGranularity.DAY,
        input_tokens: int = 0,
        output_tokens: int = 0,
        requests: int = 0,
        storage_bytes: int = 0,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> UsageCounter:
        """Add to what a user, or nobody in particular, has consumed in a period.

        One statement: N concurrent calls leave one row with the exact sums.

        Args:
            user_id: The user; None where the use is attributed to nobody.
            period_start: The first day of the period, in UTC.
            granularity: Its length; a month starts on its first day.
            input_tokens: How many more, 0 or more.
            output_tokens: How many more, 0 or more.
            requests: How many more, 0 or more.
            storage_bytes: By how much the stored bytes have changed; they never fall below 0.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The user is no member of the tenant.
            InvalidValueError: A number is below 0, or the month does not start on its first day.
            ValueOutOfRangeError: A sum exceeds 64 bits.
        """
        tenant = self.unit.scope.owner(tenant_id)
        sums = {"input_tokens": input_tokens, "output_tokens": output_tokens, "requests": requests}
        check_period(period_start, granularity)
        changes = counter_changes(sums, storage_bytes, postgresql=self.unit.is_postgresql)
        at = await self.unit.read_clock(now)
        values = {
            "tenant_id": tenant,
            "user_id": user_id,
            "period_start": period_start,
            "granularity": granularity,
            "created_at": at,
            "updated_at": at,
            **sums,
            "storage_bytes": max(storage_bytes, 0),
        }
        changes["updated_at"] = literal(at, UTCDateTime())
        return await add_up(self.unit, self.model, values, counter_key(user_id), changes)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UsageCounter]:
        """Return a page of the tenant's counters, newest period first."""
        return await self._newest(UsageCounter.tenant_id == tenant_id, after=after, limit=limit)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UsageCounter]:
        """Return a page of the user's counters, newest period first."""
        return await self._newest(UsageCounter.user_id == user_id, after=after, limit=limit)
