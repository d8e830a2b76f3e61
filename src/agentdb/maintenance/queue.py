"""Maintenance of the queue of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL
from typing_extensions import Unpack, override

from agentdb.checks import check_count, check_duration
from agentdb.database import Database
from agentdb.ledger.queue.actions import QueueAction, portions
from agentdb.ledger.queue.leases import lock_free_conversations
from agentdb.ledger.queue.repository import LEASE, MAX_ATTEMPTS
from agentdb.ledger.queue.taking import end_leases, lease_of
from agentdb.ledger.values import QueueItemStatus
from agentdb.maintenance.queue_statements import (
    count_finished,
    count_headless,
    count_lapsed,
    headless,
    lapsed_items,
    purge_finished,
)
from agentdb.maintenance.runner import (
    Batch,
    Counted,
    Plan,
    PlanOptions,
    Report,
    Sweep,
    cutoff,
    run_aged,
    run_sweeps,
)
from agentdb.unit_of_work import UnitOfWork

KEEP = timedelta(days=30)
"""How long a finished run stays for who wants to look it up."""

_Lease = tuple[datetime, int]


async def recover_queue_items(
    db: Database | str | URL,
    *,
    older_than: timedelta = LEASE,
    max_attempts: int = MAX_ATTEMPTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """End leases that have lapsed, and give a head to conversations that wait without one.

    A claim does the first by itself: this is for queues that nobody claims from, and for rows that
    were written by other means than the verbs. A run that one of those says is being worked on, and
    not since when, has its lease from its creation.

    Args:
        db: The database, or its URL.
        older_than: The lease that the workers share.
        max_attempts: Runs that have had so many fail with the code ``lease_expired``; the others
            are ready again.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        Counts of ``ready``, ``failed`` and ``promoted`` runs; the last became the head.
    """
    check_duration(older_than, "a lease", positive=True)
    check_count(max_attempts, "a number of attempts")
    plan = Plan(**options)
    leases = [
        _Lapsed(plan.tenant_id, older_than, max_attempts, begun=begun) for begun in (True, False)
    ]
    return await run_sweeps(db, [*leases, _Headless(plan.tenant_id)], plan)


async def purge_queue_items(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete runs that were completed, cancelled or failed long ago.

    Args:
        db: The database, or its URL.
        older_than: Time since they ended.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` runs.
    """
    return await run_aged(db, older_than, options, _Finished)


class _Lapsed(Sweep[_Lease]):
    """Leases that have ended, in the order of their beginnings; or those that never began."""

    name = "recover_queue_items"
    outcomes: ClassVar[tuple[str, ...]] = ("ready", "failed", "promoted")

    def __init__(
        self, tenant: UUID | None, lease: timedelta, max_attempts: int, *, begun: bool
    ) -> None:
        self._tenant = tenant
        self._lease = lease
        self._max_attempts = max_attempts
        self._begun = begun

    def _which(self, action: QueueAction) -> dict[str, bool]:
        return {
            "confined": action.confined,
            "postgresql": action.postgresql,
            "begun": self._begun,
        }

    def _given(self, action: QueueAction) -> dict[str, Any]:
        return {**lease_of(action, self._lease), "max_attempts": self._max_attempts}

    @override
    async def change(self, uow: UnitOfWork, after: _Lease | None, limit: int) -> Batch[_Lease]:
        action = QueueAction(uow, self._tenant)
        given = self._given(action)
        at, last = after or (None, None)
        statement = lapsed_items(**self._which(action), started=after is not None)
        found = await action.rows(statement, limit=limit, at=at, after=last, **given)
        ended = await end_leases(action, found, given)
        counts = {
            "ready": sum(item.status != QueueItemStatus.FAILED for item in ended.items),
            "failed": sum(item.status == QueueItemStatus.FAILED for item in ended.items),
            "promoted": len(ended.promoted),
        }
        full = len(found) == limit
        return Batch(counts, (found[-1].since, found[-1].id) if full else None)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        action = QueueAction(uow, self._tenant)
        statement = count_lapsed(**self._which(action), limited=limit is not None)
        (found,) = await action.rows(statement, limit=limit, **self._given(action))
        return Counted(found.rows, {name: getattr(found, name) for name in self.outcomes})


class _Headless(Sweep[UUID]):
    """Conversations whose waiting runs have no head, in the order of their ids."""

    name = "recover_queue_items"
    outcomes: ClassVar[tuple[str, ...]] = ("promoted",)

    def __init__(self, tenant: UUID | None) -> None:
        self._tenant = tenant

    @override
    async def change(self, uow: UnitOfWork, after: UUID | None, limit: int) -> Batch[UUID]:
        action = QueueAction(uow, self._tenant)
        statement = headless(confined=action.confined, started=after is not None)
        found: list[UUID] = [
            row[0] for row in await action.rows(statement, limit=limit, behind=after)
        ]
        promoted = [key for some in portions(found) for key in await self._promote(action, some)]
        return Batch({"promoted": len(promoted)}, found[-1] if len(found) == limit else None)

    async def _promote(self, action: QueueAction, conversations: Sequence[UUID]) -> list[int]:
        free = await action.rows(lock_free_conversations(), conversations=conversations)
        return await action.promote(*(row.id for row in free))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        action = QueueAction(uow, self._tenant)
        statement = count_headless(confined=action.confined, limited=limit is not None)
        (found,) = await action.rows(statement, limit=limit)
        return Counted(found.rows, {"promoted": found.rows})


class _Finished(Sweep[int]):
    """Finished runs, in the order of their ids."""

    name = "purge_queue_items"
    outcomes: ClassVar[tuple[str, ...]] = ("deleted",)

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        self._tenant = tenant
        self._older_than = older_than

    @override
    async def change(self, uow: UnitOfWork, after: int | None, limit: int) -> Batch[int]:
        action = QueueAction(uow, self._tenant)
        statement = purge_finished(confined=action.confined, postgresql=action.postgresql)
        old = await cutoff(uow, self._older_than)
        gone = await action.rows(statement, cutoff=old, after=after or 0, limit=limit)
        last = max((row.id for row in gone), default=None)
        return Batch({"deleted": len(gone)}, last if len(gone) == limit else None)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        action = QueueAction(uow, self._tenant)
        statement = count_finished(confined=action.confined, limited=limit is not None)
        old = await cutoff(uow, self._older_than)
        (found,) = await action.rows(statement, cutoff=old, limit=limit)
        return Counted(found.rows, {"deleted": found.rows})
