"""Maintenance of Stripe's events and their dispatch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, case, func, literal, select, update
from typing_extensions import Unpack, override

from agentdb.checks import check_count
from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.maintenance.aged import Aged, Place, behind, last_place
from agentdb.maintenance.runner import (
    Batch,
    Counted,
    Plan,
    PlanOptions,
    Report,
    Sweep,
    cutoff,
    run_sweeps,
)
from agentdb.orm import Base
from agentdb.stripe.models import StripeEvent, StripeEventDispatch
from agentdb.stripe.outcomes import settle
from agentdb.stripe.repository.dispatch import MAX_ATTEMPTS, UNFINISHED
from agentdb.stripe.values import StripeDispatchStatus
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork

KEEP_PROCESSED = timedelta(days=90)
"""How long a processed event stays for who wants to replay it."""

LEASE_EXPIRED = "the lease has expired"

dispatch: Any = table_of(StripeEventDispatch)


async def recover_dispatches(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    max_attempts: int = MAX_ATTEMPTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """End claims of handlers that were not heard of again.

    A claim does the same with work that has attempts left: this ends the last attempts, too, and
    serves handlers that nobody claims for.

    Args:
        db: The database, or its URL.
        older_than: Time since the lease ended.
        max_attempts: Work that has had so many attempts is dead; other work is due at once.
        options: In which batches: see `PlanOptions`; these tables belong to no tenant.

    Returns:
        Counts of ``due`` and ``dead`` work.
    """
    check_count(max_attempts, "a number of attempts")
    plan = _for_system(options)
    return await run_sweeps(db, [Lapsed(older_than, max_attempts)], plan)


async def purge_stripe_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_PROCESSED,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete events that all handlers have processed long ago, with the work on them.

    Stripe delivers an event again for up to three days
    (https://docs.stripe.com/webhooks#retries): one that was deleted before is handled again.

    Args:
        db: The database, or its URL.
        older_than: Time since they were processed.
        options: In which batches: see `PlanOptions`; these tables belong to no tenant.

    Returns:
        The count of ``deleted`` events.
    """
    return await run_sweeps(db, [ProcessedEvents(None, older_than)], _for_system(options))


def _for_system(options: PlanOptions) -> Plan:
    plan = Plan(**options)
    if plan.tenant_id is not None:
        raise InvalidValueError("the events of Stripe belong to no tenant")
    return plan


class ProcessedEvents(Aged):
    """Processed events, in the order in which they were."""

    name = "purge_stripe_events"
    model: ClassVar[type[Base]] = StripeEvent
    stamp: ClassVar[str] = "processed_at"


class Lapsed(Sweep[Place]):
    """Claimed work, in the order in which the leases end."""

    name = "recover_dispatches"
    outcomes: ClassVar[tuple[str, ...]] = ("due", "dead")

    def __init__(self, older_than: timedelta, max_attempts: int) -> None:
        self._older_than = older_than
        self._dead = dispatch.c.attempts >= max_attempts

    def _due(self, old: datetime, after: Place | None) -> Any:
        columns = dispatch.c
        where = [
            UNFINISHED,
            columns.status == StripeDispatchStatus.IN_PROGRESS,
            columns.next_retry_at < literal(old, UTCDateTime()),
            *behind(StripeEventDispatch, "next_retry_at", after),
        ]
        query = select(columns.id, columns.next_retry_at, columns.stripe_event_id).where(*where)
        return query.order_by(columns.next_retry_at, columns.id)

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        old = await cutoff(uow, self._older_than)
        found = (await uow.execute(self._due(old, after).limit(limit))).all()
        # Events before the work on them: the order of all verbs.
        events = await self._free_events(uow, sorted({row.stripe_event_id for row in found}))
        keys = [row.id for row in found if row.stripe_event_id in events]
        ended = await self._end(uow, keys, old)
        at = old + self._older_than
        for event in {row.stripe_event_id for row in ended}:
            await settle(uow, events[event], at, attempts=1)
        dead = sum(row.status == StripeDispatchStatus.DEAD for row in ended)
        counts = {"due": len(ended) - dead, "dead": dead}
        return Batch(counts, last_place(found, "next_retry_at", limit))

    async def _free_events(self, uow: UnitOfWork, keys: Sequence[UUID]) -> dict[UUID, StripeEvent]:
        query = select(StripeEvent).where(StripeEvent.id.in_(keys)).order_by(StripeEvent.id)
        query = query.with_for_update(key_share=True, skip_locked=True)
        current = query.execution_options(populate_existing=True)
        return {event.id: event for event in (await uow.execute(current)).scalars()}

    async def _end(self, uow: UnitOfWork, keys: Sequence[UUID], old: datetime) -> Sequence[Any]:
        """End claims that stand as they were found; those that a claimer has locked are skipped."""
        free = self._due(old, None).where(dispatch.c.id.in_(keys))
        found = (await uow.execute(free.with_for_update(skip_locked=True))).all()
        at = literal(old + self._older_than, UTCDateTime())
        change: Any = update(dispatch).where(dispatch.c.id.in_([row.id for row in found]))
        change = change.values(
            status=case(
                (self._dead, StripeDispatchStatus.DEAD), else_=StripeDispatchStatus.PENDING
            ),
            next_retry_at=case((self._dead, None), else_=at),
            last_error=LEASE_EXPIRED,
        )
        changed = change.returning(dispatch.c.stripe_event_id, dispatch.c.status)
        return (await uow.execute(changed)).all()

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        due = self._due(await cutoff(uow, self._older_than), None).limit(limit)
        found = due.add_columns(self._dead.label("is_dead")).subquery()
        dead = func.count().filter(found.c.is_dead).label("dead")
        row = (await uow.execute(select(func.count().label("rows"), dead).select_from(found))).one()
        return Counted(row.rows, {"due": row.rows - row.dead, "dead": row.dead})
