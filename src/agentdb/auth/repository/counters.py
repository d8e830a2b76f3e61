"""Consumption by tenant, user and period."""

from __future__ import annotations

from datetime import date, datetime
from typing import NoReturn
from uuid import UUID

from sqlalchemy import ColumnElement, select

from agentdb.auth.counters import (
    SUMS,
    Totals,
    check_amounts,
    check_period,
    count_up,
    is_tenant,
    summed,
)
from agentdb.auth.folding import give_to_nobody, take_counters
from agentdb.auth.models import UsageCounter
from agentdb.auth.values import UsageCounterGranularity
from agentdb.driver_errors import orm_errors
from agentdb.errors import NotFoundError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.counting import add_up, room, sum_exceeds
from agentdb.tenancy import Write
from agentdb.types import Date, uuid_pk


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
        check_amounts(sums, storage_bytes)
        values = {
            "id": uuid_pk(),
            "tenant_id": tenant,
            "user_id": user_id,
            "period_start": period_start,
            "granularity": granularity,
            **sums,
            "storage_bytes": max(storage_bytes, 0),
            "storage_change": storage_bytes,
            **room(UsageCounter, {**sums, "storage_bytes": storage_bytes}),
        }
        by_user = user_id is not None
        # A system unit also counts for people who have left the tenant since.
        by_member = by_user and self.unit.tenant is not None
        statement = count_up(
            by_user=by_user, by_member=by_member, on_postgresql=self.unit.is_postgresql
        )
        counter = await add_up(self.unit, UsageCounter, statement, values, now)
        return counter or await self._refuse(tenant, Write(UsageCounter, values))

    async def _refuse(self, tenant: UUID, write: Write) -> NoReturn:
        """Tell why nothing was counted."""
        await self.unit.check(write)
        if not (await self.unit.execute(select(is_tenant(tenant)))).scalar_one():
            raise NotFoundError("no such row of tenant_accounts")
        raise sum_exceeds(UsageCounter, SUMS)

    async def totals(
        self,
        start: date,
        end: date,
        *,
        user_id: UUID | None = None,
        tenant_id: UUID | None = None,
    ) -> Totals:
        """Return what was consumed in the periods that start in a window; one statement.

        Days and months count alike: no use is in both. A month counts in the window that its first
        day lies in, so that windows of whole months are exact, whatever was rolled up.

        Args:
            start: The first day of the window, in UTC.
            end: The first day after it.
            user_id: Only by this user; None adds up all of them, and nobody in particular.
            tenant_id: The tenant, in a system unit; None there for all.

        Raises:
            InvalidValueError: The window has an end that is no date.
        """
        first, last = Date().check(start), Date().check(end)
        where = [UsageCounter.period_start >= first, UsageCounter.period_start < last]
        where += self._of(user_id, tenant_id)
        with orm_errors():
            found = await self.unit.session.execute(select(*summed(UsageCounter)).where(*where))
        return Totals(*map(int, found.one()))

    async def search(
        self,
        *,
        granularity: UsageCounterGranularity | None = None,
        user_id: UUID | None = None,
        tenant_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[UsageCounter]:
        """Return a page of counters, newest period first.

        Args:
            granularity: Of days or of months.
            user_id: Of this user.
            tenant_id: The tenant, in a system unit.
            after: Cursor of the page before; None starts.
            limit: Counters of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        where = self._of(user_id, tenant_id)
        where += [] if granularity is None else [UsageCounter.granularity == granularity]
        return await self._newest(*where, after=after, limit=limit)

    def _of(self, user_id: UUID | None, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        where = [] if tenant is None else [UsageCounter.tenant_id == tenant]
        return where + ([] if user_id is None else [UsageCounter.user_id == user_id])

    async def fold_user(
        self, user_id: UUID, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> int:
        """Add a user's counters to those of nobody in particular, and delete them.

        No total changes. Race-safe: what is counted for the user meanwhile is folded or stays, and
        is not lost.

        Args:
            user_id: The user.
            tenant_id: In this tenant, in a system unit; None for all.
            now: The clock of the change.

        Returns:
            How many counters the user had.

        Raises:
            ValueOutOfRangeError: A sum exceeds 64 bits; nothing is folded.
        """
        tenant = self.unit.scope.filter(tenant_id)
        async with self.unit.savepoint():
            rows = await take_counters(self.unit, user_id, tenant)
            if rows:
                await give_to_nobody(self.unit, rows, await self.unit.read_clock(now))
        return len(rows)

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
