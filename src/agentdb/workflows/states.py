"""Locking a run, and what happens to its steps with it; the lock of the run comes first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update

from agentdb.driver_errors import orm_errors
from agentdb.errors import InvalidTransitionError, InvalidValueError, NotFoundError
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep
from agentdb.workflows.values import WorkflowStatus

steps: Any = table_of(WorkflowRunStep)


async def lock_run(
    unit: Unit, run_id: str, tenant_id: UUID | None = None, *, include_deleted: bool = False
) -> WorkflowRun:
    """Lock a run until the unit ends, and return it as it is under the lock.

    Whatever changes a run or adds to its steps holds this lock, so that what is decided here stays
    true until the unit commits.

    Raises:
        NotFoundError: There is no such run.
    """
    tenant = unit.scope.filter(tenant_id)
    query = select(WorkflowRun).where(WorkflowRun.id == run_id)
    if tenant is not None:
        query = query.where(WorkflowRun.tenant_id == str(tenant))
    if not include_deleted:
        query = query.where(WorkflowRun.deleted_at.is_(None))
    query = query.with_for_update(key_share=True)
    with orm_errors():
        await unit.session.flush()
        rows = await unit.session.scalars(query, execution_options={"populate_existing": True})
    run = rows.one_or_none()
    if run is None:
        raise NotFoundError("no such row of workflow_runs")
    return run


def check_end(status: str, table: str) -> None:
    """Refuse a state that ends nothing.

    Raises:
        InvalidValueError: It is ``running``, or no state.
    """
    if status == WorkflowStatus.RUNNING or status not in tuple(WorkflowStatus):
        expected = "expects succeeded, failed or cancelled"
        raise InvalidValueError(expected, table=table, column="status")


def check_running(row: WorkflowRun | WorkflowRunStep) -> None:
    """Refuse a run, or a step, that has ended.

    Raises:
        InvalidTransitionError: It has.
    """
    if row.status != WorkflowStatus.RUNNING:
        raise InvalidTransitionError(f"the row of {row.__tablename__} has ended already")


async def end_steps(unit: Unit, run_id: str, status: WorkflowStatus, at: datetime) -> None:
    """End the running steps of a run that has ended."""
    running = (steps.c.status == WorkflowStatus.RUNNING, steps.c.deleted_at.is_(None))
    await _set_steps(unit, run_id, running, status=status, ended_at=at)


async def delete_steps_softly(
    unit: Unit, run_id: str, *, at: datetime, by: str, reason: str | None
) -> None:
    """Hide the live steps of a run, under the stamp that it has."""
    live = (steps.c.deleted_at.is_(None),)
    await _set_steps(unit, run_id, live, deleted_at=at, deleted_by=by, deleted_reason=reason)


async def restore_steps(unit: Unit, run_id: str, deleted_at: datetime) -> None:
    """Show the steps again that were hidden with their run; others were hidden before."""
    with_run = (steps.c.deleted_at == deleted_at,)
    await _set_steps(unit, run_id, with_run, deleted_at=None, deleted_by=None, deleted_reason=None)


async def _set_steps(
    unit: Unit, run_id: str, where: Iterable[ColumnElement[bool]], **values: object
) -> None:
    await unit.session.flush()
    mine = update(steps).where(steps.c.workflow_run_id == run_id, *where)
    changed = await unit.execute(mine.values(**values).returning(steps.c.id))
    for key in changed.scalars().all():
        await unit.refresh(WorkflowRunStep, key)


async def delete_steps(unit: Unit, run_id: str) -> int:
    """Delete all steps of a run for good, and return how many there were."""
    await unit.session.flush()
    mine = delete(steps).where(steps.c.workflow_run_id == run_id)
    gone = (await unit.execute(mine.returning(steps.c.id))).scalars().all()
    for key in gone:
        unit.forget(WorkflowRunStep, (key,))
    return len(gone)
