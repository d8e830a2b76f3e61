"""Maintenance of usage counters: days of the past become months."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, ColumnElement, Select, delete, literal_column, or_, select, true
from typing_extensions import Unpack, override

from agentdb.auth.counters import SUMS
from agentdb.auth.folding import add_to_counters
from agentdb.auth.models import UsageCounter, User
from agentdb.auth.values import UsageCounterGranularity
from agentdb.database import Database
from agentdb.maintenance.aged import Aged, Place, behind, last_place, old_rows, own
from agentdb.maintenance.runner import Batch, PlanOptions, Report, cutoff, run_aged
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork

KEEP_DAYS = timedelta(days=90)
"""How long after the end of a month its days stay."""

_counters: Any = table_of(UsageCounter)
_users: Any = table_of(User)
# Written as in the index: of a parameter neither database knows that it is this value.
_IS_DAY: Any = _counters.c.granularity == literal_column("'day'")


async def roll_up_usage(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_DAYS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Add the day counters of months that ended long ago to the counters of those months.

    A day counter goes in the unit that adds it to its month, so that no total over whole months
    ever changes, while others count too. Each user keeps a counter of their own, and so does nobody
    in particular. What is counted for such a day later is rolled up by a later run.

    Args:
        db: The database, or its URL.
        older_than: Time since the month ended in UTC, by the clock of the database.
        options: Whose counters, and in which batches: see `PlanOptions`.

    Returns:
        The count of day counters that were ``rolled_up``.

    Raises:
        ValueOutOfRangeError: A month would exceed 64 bits; its batch is undone.
    """
    return await run_aged(db, older_than, options, PastDays)


class PastDays(Aged):
    """Day counters of past months, the oldest first."""

    name = "roll_up_usage"
    model: ClassVar[type[Base]] = UsageCounter
    stamp: ClassVar[str] = "period_start"
    outcomes: ClassVar[tuple[str, ...]] = ("rolled_up",)

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        month = (await cutoff(uow, self._older_than)).date().replace(day=1)
        where = [_IS_DAY, *own(self.model, self._tenant), *behind(self.model, self.stamp, after)]
        return old_rows(self.model, self.stamp, month, where)

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        due = await self._due(uow, after)
        held = await _lock_users(uow, due.limit(limit))
        free = due.where(held).limit(limit).with_for_update(skip_locked=True)
        chosen = delete(_counters).where(among(_counters.c.id, free, postgresql=uow.is_postgresql))
        days = (await uow.execute(chosen.returning(*_counters.c))).all()
        if days:
            await add_to_counters(uow, _months(days), await uow.read_clock())
        return Batch({self.outcomes[0]: len(days)}, last_place(days, self.stamp, limit))


async def _lock_users(uow: UnitOfWork, due: Select[Any]) -> ColumnElement[bool]:
    """Keep the users of a batch: their locks come before those of counters.

    A new counter refers to its user, whom a deletion may hold that waits for the counters.

    Returns:
        The condition to be a counter of such a user, or of nobody: while the locks were waited for,
        counters of others may have moved up into the batch.
    """
    if not uow.is_postgresql:
        return true()
    having = due.with_only_columns(_counters.c.user_id).subquery()
    query = select(_users.c.id).where(_users.c.id.in_(select(having.c.user_id)))
    locked = query.order_by(_users.c.id).with_for_update(read=True, key_share=True)
    users = (await uow.execute(locked)).scalars().all()
    return or_(_counters.c.user_id.is_(None), _counters.c.user_id.in_(users))


def _months(days: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what days add to their months, in the order in which all batches lock these."""
    months: defaultdict[tuple[UUID, UUID | None, date], Counter[str]] = defaultdict(Counter)
    for day in days:
        key = (day.tenant_id, day.user_id, day.period_start.replace(day=1))
        months[key].update({name: getattr(day, name) for name in SUMS})
    return [
        {
            "tenant_id": tenant,
            "user_id": user,
            "period_start": start,
            "granularity": UsageCounterGranularity.MONTH,
            **sums,
        }
        for (tenant, user, start), sums in sorted(months.items(), key=lambda month: str(month[0]))
    ]
