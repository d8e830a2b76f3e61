"""Steps of workflow runs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from typing_extensions import Unpack

from agentdb.checks import check_fields
from agentdb.errors import ConflictError, InvalidTransitionError, InvalidValueError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.workflows.ids import checked_id
from agentdb.workflows.models import WorkflowRunStep
from agentdb.workflows.rows import StepFields, StepOutput
from agentdb.workflows.states import check_end, check_running, lock_run, steps
from agentdb.workflows.values import WorkflowStatus


class WorkflowRunStepRepository(Repository[WorkflowRunStep, str]):
    """Steps of workflow runs, in the order of their numbers."""

    model = WorkflowRunStep
    newest = "started_at"

    async def record(
        self,
        run_id: str,
        step_name: str,
        step_agent: str,
        status: str,
        *,
        sequence_no: int | None = None,
        id: str | None = None,  # noqa: A002 -- named as the column
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[StepFields],
    ) -> WorkflowRunStep:
        """Store a step of a run, under the lock of the run.

        N concurrent calls all succeed, numbered without gaps from 0.

        Args:
            run_id: The run.
            step_name: The name of the step.
            step_agent: The agent that takes it.
            status: ``running``, or the state in which it has ended already.
            sequence_no: Its number; one more than the highest unless given.
            id: Its id, unique across tenants; a new UUID unless given.
            tenant_id: The tenant, in a system unit.
            now: The clock of the step.
            fields: Further columns of the row.

        Raises:
            NotFoundError: There is no such run, or it is deleted.
            InvalidTransitionError: The step runs, and the run has ended.
            ConflictError: The number is taken.
            DuplicateError: The id is taken.
            InvalidValueError: A column refuses its value, or the number is below 0.
        """
        check_fields(fields, StepFields)
        if sequence_no is not None and (type(sequence_no) is not int or sequence_no < 0):
            expected = "expects a whole number from 0"
            raise InvalidValueError(expected, table="workflow_run_steps", column="sequence_no")
        run = await lock_run(self.unit, run_id, tenant_id)
        runs = status == WorkflowStatus.RUNNING
        if runs and run.status != WorkflowStatus.RUNNING:
            raise InvalidTransitionError("a run that has ended takes no step that runs")
        number = await self._number(run_id, sequence_no)
        at = await self.unit.read_clock(now)
        stamped: StepFields = {"started_at": at, "ended_at": None if runs else at, **fields}
        step = WorkflowRunStep(
            id=checked_id(id, self.model.__tablename__),
            workflow_run_id=run_id,
            sequence_no=number,
            step_name=step_name,
            step_agent=step_agent,
            status=status,
            **stamped,
        )
        return await self.add(step)

    async def _number(self, run_id: str, wanted: int | None) -> int:
        """Return the number of a new step; those of deleted steps stay taken."""
        mine = steps.c.workflow_run_id == run_id
        if wanted is None:
            highest = select(func.max(steps.c.sequence_no)).where(mine)
            last: int | None = (await self.unit.execute(highest)).scalar_one()
            return 0 if last is None else last + 1
        taken = WorkflowRunStep.sequence_no == wanted
        of_run = WorkflowRunStep.workflow_run_id == run_id
        if await self.exists(of_run, taken, include_deleted=True):
            raise ConflictError("the number is taken by another step")
        return wanted

    async def finish(
        self,
        step_id: str,
        status: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **output: Unpack[StepOutput],
    ) -> WorkflowRunStep:
        """End a step that is running; once it has ended, its state stays.

        The same end again returns the step unchanged. The run is locked first, as by all that
        changes its steps.

        Args:
            step_id: The step.
            status: ``succeeded``, ``failed`` or ``cancelled``.
            tenant_id: The tenant, in a system unit.
            now: The clock of the end.
            output: What it ends with.

        Raises:
            NotFoundError: There is no such step, or its run is deleted.
            InvalidTransitionError: It has ended in another state, so with a run that was cancelled.
            InvalidValueError: The state ends nothing, or a column refuses its value.
        """
        check_fields(output, StepOutput)
        check_end(status, self.model.__tablename__)
        self.unit.scope.filter(tenant_id)
        await lock_run(self.unit, (await self.require(step_id)).workflow_run_id, tenant_id)
        step = await self.require(step_id, lock=True)
        if step.status == status:
            return step
        check_running(step)
        at = await self.unit.read_clock(now)
        return await self.update(step_id, status=status, ended_at=at, **output)

    async def for_workflow_run(
        self,
        workflow_run_id: str,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[WorkflowRunStep]:
        """Return a page of the run's steps, by their numbers, first one first."""
        return await self.page(
            WorkflowRunStep.workflow_run_id == workflow_run_id,
            order=[WorkflowRunStep.sequence_no],
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
