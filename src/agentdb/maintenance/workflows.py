"""Maintenance of workflow runs and their steps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    URL,
    ColumnElement,
    Select,
    String,
    Update,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)
from typing_extensions import Unpack, override

from agentdb.database import Database
from agentdb.maintenance.aged import (
    Aged,
    Place,
    behind,
    count_rows,
    last_place,
    old_rows,
    own,
)
from agentdb.maintenance.runner import Batch, Counted, PlanOptions, Report, Sweep, cutoff, run_aged
from agentdb.maintenance.walked import chunks
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep
from agentdb.workflows.states import steps
from agentdb.workflows.values import WorkflowStatus

STALE = timedelta(days=1)
"""How long a run may take before its worker is taken for dead."""

runs: Any = table_of(WorkflowRun)

# Written out: SQLite takes a partial index for a constant alone, not for a parameter
# (https://www.sqlite.org/partialindex.html).
_RUNNING: ColumnElement[str] = literal_column(f"'{WorkflowStatus.RUNNING}'", String())


async def fail_stale_runs(
    db: Database | str | URL,
    *,
    older_than: timedelta = STALE,
    **options: Unpack[PlanOptions],
) -> Report:
    """End workflow runs that run for too long as failed, with their running steps.

    A worker that is still alive is refused when it finishes its run; deleted runs are left alone.

    Args:
        db: The database, or its URL.
        older_than: Time since they were started, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        Counts of ``failed`` runs and of ``failed_steps``.
    """
    return await run_aged(db, older_than, options, StaleRuns)


class _Runs(Sweep[Place]):
    """Runs that are due, by a stamp, and what becomes of their steps with them."""

    stamp: ClassVar[str]

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        self._tenant = tenant
        self._older_than = older_than

    def _where(self) -> list[ColumnElement[bool]]:
        return []

    def _due(self, old: datetime, after: Place | None = None) -> Select[Any]:
        where = [*self._where(), *own(WorkflowRun, self._tenant)]
        where += behind(WorkflowRun, self.stamp, after)
        return old_rows(WorkflowRun, self.stamp, old, where)

    async def _count(
        self, uow: UnitOfWork, limit: int | None, *where: ColumnElement[bool]
    ) -> tuple[int, int]:
        """Count the due runs, and those of their steps that meet a condition."""
        due = self._due(await cutoff(uow, self._older_than)).limit(limit)
        found = due.subquery()
        theirs = select(steps.c.id).where(steps.c.workflow_run_id.in_(select(found.c.id)), *where)
        return await count_rows(uow, due), await count_rows(uow, theirs)


class StaleRuns(_Runs):
    """Running runs, in the order in which they were started."""

    name = "fail_stale_runs"
    outcomes: ClassVar[tuple[str, ...]] = ("failed", "failed_steps")
    stamp: ClassVar[str] = "started_at"

    @override
    def _where(self) -> list[ColumnElement[bool]]:
        # Wrapped: SQLite takes the index of deleted_at for selective, where nearly all are NULL.
        live = func.coalesce(runs.c.deleted_at, null()).is_(None)
        return [runs.c.status == _RUNNING, live]

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        old = await cutoff(uow, self._older_than)
        free = self._due(old, after).limit(limit).with_for_update(key_share=True, skip_locked=True)
        ending: dict[str, Any] = {
            "status": WorkflowStatus.FAILED,
            "ended_at": old + self._older_than,
        }
        stale: Any = update(runs).where(among(runs.c.id, free, postgresql=uow.is_postgresql))
        ended: Update = stale.values(**ending).returning(runs.c.id, runs.c.started_at)
        failed = (await uow.execute(ended)).all()
        failed_steps = 0
        for keys in chunks([row.id for row in failed]):
            theirs: Update = update(steps).where(steps.c.workflow_run_id.in_(keys))
            theirs = theirs.where(*_RUNNING_STEPS)
            changed = await uow.execute(theirs.values(**ending).returning(steps.c.id))
            failed_steps += len(changed.all())
        counts = {"failed": len(failed), "failed_steps": failed_steps}
        return Batch(counts, last_place(failed, self.stamp, limit))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        failed, failed_steps = await self._count(uow, limit, *_RUNNING_STEPS)
        return Counted(failed, {"failed": failed, "failed_steps": failed_steps})


_RUNNING_STEPS = (steps.c.status == _RUNNING, steps.c.deleted_at.is_(None))


class DeletedRuns(_Runs):
    """Soft-deleted runs, in the order of their deletion."""

    name = "purge_deleted"
    outcomes: ClassVar[tuple[str, ...]] = ("workflow_runs", "workflow_run_steps")
    stamp: ClassVar[str] = "deleted_at"

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        old = await cutoff(uow, self._older_than)
        free = self._due(old, after).limit(limit).with_for_update(skip_locked=True)
        due = delete(runs).where(among(runs.c.id, free, postgresql=uow.is_postgresql))
        gone = (await uow.execute(due.returning(runs.c.id, runs.c.deleted_at))).all()
        gone_steps = 0
        for keys in chunks([row.id for row in gone]):
            theirs = delete(steps).where(steps.c.workflow_run_id.in_(keys))
            gone_steps += len((await uow.execute(theirs.returning(steps.c.id))).all())
        counts = {"workflow_runs": len(gone), "workflow_run_steps": gone_steps}
        return Batch(counts, last_place(gone, self.stamp, limit))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        gone, gone_steps = await self._count(uow, limit)
        return Counted(gone, {"workflow_runs": gone, "workflow_run_steps": gone_steps})


class DeletedSteps(Aged):
    """Steps that were deleted by themselves, in the order of their deletion.

    Those of a deleted run go with it: taken before, they would be missing where it is restored.
    """

    name = "purge_deleted"
    outcomes: ClassVar[tuple[str, ...]] = ("workflow_run_steps",)
    model: ClassVar[type[Base]] = WorkflowRunStep
    stamp: ClassVar[str] = "deleted_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        run = select(runs.c.id).where(
            runs.c.id == steps.c.workflow_run_id, runs.c.deleted_at.is_not(None)
        )
        return (await super()._due(uow, after)).where(~exists(run))
