"""Deliveries of Stripe's events to handlers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal, literal_column, not_, select, update

from agentdb.checks import check_count, check_duration
from agentdb.errors import InvalidTransitionError, LeaseLostError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.stripe.models import StripeEvent, StripeEventDispatch
from agentdb.stripe.outcomes import lock_event, settle
from agentdb.stripe.rows import Delivery
from agentdb.stripe.values import StripeDispatchStatus
from agentdb.tenancy import CHECKED
from agentdb.types import UTCDateTime

LEASE = timedelta(minutes=5)
"""How long a handler may be silent."""

MAX_ATTEMPTS = 10
"""How often a handler tries an event."""

MAX_CLAIM = 500

FIRST_WAIT, LONGEST_WAIT, SPREAD = timedelta(seconds=30), timedelta(minutes=10), 0.1
"""The wait after the first failure, which doubles with each; its limit; by which part it varies."""


class StripeEventDispatchRepository(Repository[StripeEventDispatch, UUID]):
    """Deliveries of Stripe's events to handlers, for system units alone.

    A handler's work on an event is claimed for the time of a lease. ``next_retry_at`` says when it
    is due: when its lease or its wait ends. The number of the attempt fences: `heartbeat`,
    `complete` and `fail` act for the attempt that holds the claim, and for no other. Effects that
    commit in the unit of `complete` so commit once.
    """

    model = StripeEventDispatch

    async def claim(
        self,
        *,
        handler: str | None = None,
        limit: int = 10,
        lease: timedelta = LEASE,
        max_attempts: int = MAX_ATTEMPTS,
        now: datetime | None = None,
    ) -> list[Delivery]:
        """Take the work that is due, the longest due first; what others have locked is skipped.

        Due is what is new, what has waited after a failure, and what another has claimed and not
        been heard of since. No work goes to two claimers. Work whose last attempt was never heard
        of is left to `maintenance.recover_dispatches`, which ends it.

        Args:
            handler: Of this handler; None for all.
            limit: How many at the most, 1 to 500.
            lease: How long the claim stands without a heartbeat.
            max_attempts: How often an event is tried.
            now: The clock of the claim.

        Raises:
            InvalidValueError: The limit, the lease or the number of attempts is none.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        check_duration(lease, "a lease", positive=True)
        check_count(limit, "a limit", most=MAX_CLAIM)
        self.unit.check_writable(self.model)
        at = await self.unit.read_clock(now)
        where = [not_(_exhausted(max_attempts))]
        where += [] if handler is None else [StripeEventDispatch.handler == handler]
        keys = await self._free(at, where, limit)
        return await self._taken(keys, at, at + lease)

    async def heartbeat(
        self, key: UUID, attempt: int, *, lease: timedelta = LEASE, now: datetime | None = None
    ) -> StripeEventDispatch:
        """Renew the lease of a claim, in a short unit of its own.

        Raises:
            LeaseLostError: The claim has ended; nothing was written.
        """
        check_duration(lease, "a lease", positive=True)
        self.unit.check_writable(self.model)
        at = await self.unit.read_clock(now)
        return await self._change(key, attempt, next_retry_at=at + lease)

    async def complete(
        self, key: UUID, attempt: int, *, now: datetime | None = None
    ) -> StripeEventDispatch:
        """Complete the work of a handler; with the last one its event is processed.

        Args:
            key: The id of the dispatch.
            attempt: The attempt that was claimed.
            now: The clock of the verb.

        Raises:
            LeaseLostError: The claim has ended; nothing was written, and the effects of the unit
                must not be either.
        """
        done = {"status": StripeDispatchStatus.COMPLETED, "next_retry_at": None, "last_error": None}
        return await self._end(key, attempt, now, **done)

    async def fail(
        self,
        key: UUID,
        attempt: int,
        error: str,
        *,
        retry_at: datetime | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        now: datetime | None = None,
    ) -> StripeEventDispatch:
        """Give an attempt up: it is due again after a wait, or dead after the last one.

        The wait is 30 seconds after the first attempt and doubles with each, up to 10 minutes, give
        or take a tenth. The event has failed, with the error, until the handler completes it.

        Args:
            key: The id of the dispatch.
            attempt: The attempt that was claimed.
            error: Why; kept in the row, so without secrets.
            retry_at: When it is due again, instead of after the wait.
            max_attempts: How often an event is tried.
            now: The clock of the verb.

        Raises:
            LeaseLostError: The claim has ended; nothing was written.
            InvalidValueError: A value is refused.
        """
        check_count(attempt, "an attempt", least=0)
        check_count(max_attempts, "a number of attempts")
        self.unit.check_writable(self.model)
        at = await self.unit.read_clock(now)
        if attempt >= max_attempts:
            state: dict[str, Any] = {"status": StripeDispatchStatus.DEAD, "next_retry_at": None}
        else:
            due = retry_at or at + wait_after(attempt)
            state = {"status": StripeDispatchStatus.FAILED, "next_retry_at": due}
        return await self._end(key, attempt, at, last_error=error, **state)

    async def reset(
        self, key: UUID, *, force: bool = False, now: datetime | None = None
    ) -> StripeEventDispatch:
        """Make failed or dead work due at once; the attempts that it has had stay counted.

        What is dead so gets one more attempt. Work that waits already stays as it is.

        Args:
            key: The id of the dispatch.
            force: Do the same with completed work: its effects happen again.
            now: The clock of the verb.

        Raises:
            NotFoundError: There is no such dispatch.
            InvalidTransitionError: It is being worked on, or completed without *force*.
        """
        found = await self.require(key)
        event = await lock_event(self.unit, found.stripe_event_id)
        work = await self.require(key, lock=True)
        if work.status == StripeDispatchStatus.PENDING or event is None:
            return work
        completed = work.status == StripeDispatchStatus.COMPLETED
        if work.status == StripeDispatchStatus.IN_PROGRESS or (completed and not force):
            raise InvalidTransitionError(f"the work is {work.status}")
        at = await self.unit.read_clock(now)
        row = await self.update(key, status=StripeDispatchStatus.PENDING, next_retry_at=at)
        await settle(self.unit, event, at)
        return row

    async def search(
        self,
        *,
        handler: str | None = None,
        status: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Delivery]:
        """Return a page of work with its events, the newest first.

        Args:
            handler: Of this handler.
            status: For example ``dead``.
            after: Cursor of the page before; None starts.
            limit: Rows of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
        """
        given = {StripeEventDispatch.handler: handler, StripeEventDispatch.status: status}
        where = [column == value for column, value in given.items() if value is not None]
        page = await self._newest(*where, after=after, limit=limit)
        return Page(tuple(await self._with_events(page.items)), page.next_cursor)

    async def for_stripe_event(
        self, stripe_event_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[StripeEventDispatch]:
        """Return a page of the event's deliveries, newest first."""
        return await self._newest(
            StripeEventDispatch.stripe_event_id == stripe_event_id, after=after, limit=limit
        )

    async def _free(
        self, at: datetime, where: Sequence[ColumnElement[bool]], limit: int
    ) -> list[UUID]:
        """Lock work that is due; that without an instant is due at once, and so first."""
        due = StripeEventDispatch.next_retry_at
        query = select(StripeEventDispatch.id).where(UNFINISHED, *where)
        query = query.order_by(due, StripeEventDispatch.id).with_for_update(skip_locked=True)
        at_once = query.where(due.is_(None)).limit(limit)
        keys = list((await self.unit.execute(at_once)).scalars())
        if len(keys) < limit:
            timed = query.where(due <= literal(at, UTCDateTime())).limit(limit - len(keys))
            keys += (await self.unit.execute(timed)).scalars()
        return keys

    async def _taken(self, keys: list[UUID], at: datetime, until: datetime) -> list[Delivery]:
        if not keys:
            return []
        claim = update(StripeEventDispatch).where(StripeEventDispatch.id.in_(keys))
        values: dict[str, Any] = {
            "status": StripeDispatchStatus.IN_PROGRESS,
            "attempts": StripeEventDispatch.attempts + 1,
            "last_attempt_at": at,
            "next_retry_at": until,
        }
        found = await self._write(claim.values(**values).returning(StripeEventDispatch), CHECKED)
        rows = {row.id: row for row in found.scalars()}
        return await self._with_events([rows[key] for key in keys])

    async def _with_events(self, rows: Sequence[StripeEventDispatch]) -> list[Delivery]:
        keys = {row.stripe_event_id for row in rows}
        query = select(StripeEvent).where(StripeEvent.id.in_(keys))
        query = query.execution_options(populate_existing=True)
        events = {event.id: event for event in (await self.unit.execute(query)).scalars()}
        return [Delivery(row, events[row.stripe_event_id]) for row in rows]

    async def _end(
        self, key: UUID, attempt: int, now: datetime | None, **values: Any
    ) -> StripeEventDispatch:
        """End an attempt under the lock of its event, and settle the event."""
        found = await self.get(key)
        event = None if found is None else await lock_event(self.unit, found.stripe_event_id)
        row = await self._change(key, attempt, **values)
        if event is not None:
            await settle(self.unit, event, await self.unit.read_clock(now), attempts=1)
        return row

    async def _change(self, key: UUID, attempt: int, **values: Any) -> StripeEventDispatch:
        held = and_(
            StripeEventDispatch.status == StripeDispatchStatus.IN_PROGRESS,
            StripeEventDispatch.attempts == attempt,
        )
        check_count(attempt, "an attempt", least=0)
        row = await self._compare_and_set(key, held, **values)
        if row is None:
            raise _lost(await self.get(key), attempt)
        return row


UNFINISHED = StripeEventDispatch.status.in_(
    # Written out: SQLite takes a partial index for constants alone, not for parameters
    # (https://www.sqlite.org/partialindex.html).
    [literal_column(f"'{status}'") for status in ("pending", "in_progress", "failed")]
)
"""The condition of the index of due work."""


def _exhausted(max_attempts: int) -> ColumnElement[bool]:
    """Return the condition that the last attempt is claimed."""
    check_count(max_attempts, "a number of attempts")
    return and_(
        StripeEventDispatch.status == StripeDispatchStatus.IN_PROGRESS,
        StripeEventDispatch.attempts >= max_attempts,
    )


def wait_after(attempt: int) -> timedelta:
    """Return how long to wait after a failed attempt."""
    factor: int = 2 ** min(attempt - 1, 10)
    spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 -- so that not all come at once
    return min(FIRST_WAIT * factor, LONGEST_WAIT) * spread


def _lost(row: StripeEventDispatch | None, attempt: int) -> LeaseLostError:
    if row is None:
        reason = "missing"
    elif row.attempts > attempt or row.status == StripeDispatchStatus.PENDING:
        reason = "reclaimed"
    else:
        reason = "finished"
    return LeaseLostError("the claim of the delivery has ended", reason=reason)
