"""Runs of workflows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, select
from typing_extensions import Unpack, override

from agentdb.auth.references import user_text
from agentdb.checks import check_fields
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import NotFoundError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.workflows.ids import checked_id
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep
from agentdb.workflows.references import conversation_key
from agentdb.workflows.repository.steps import WorkflowRunStepRepository
from agentdb.workflows.rows import FoundRun, RunFields, RunOutput, RunWithSteps
from agentdb.workflows.states import (
    check_end,
    check_running,
    delete_steps,
    end_steps,
    lock_run,
    steps,
)
from agentdb.workflows.values import MAX_RUN_ID, WorkflowStatus


class WorkflowRunRepository(Repository[WorkflowRun, str]):
    """Runs of workflows.

    What changes a run locks it first: concurrent verbs on one run follow each other, and each
    decides on what the one before has committed.
    """

    model = WorkflowRun
    newest = "started_at"

    async def start(
        self,
        workflow_key: str,
        user_id: UUID,
        *,
        id: str | None = None,  # noqa: A002 -- named as the column
        conversation: ConversationRef | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[RunFields],
    ) -> WorkflowRun:
        """Store a new run, which is running.

        Args:
            workflow_key: The workflow.
            user_id: Who started it; in a tenant's unit a member of the tenant.
            id: Its id, 1 to 64 characters, unique across tenants; a new UUID unless given.
            conversation: The conversation that it belongs to, which is there already.
            tenant_id: The tenant, in a system unit.
            now: The clock of the start.
            fields: Further columns of the row.

        Raises:
            NotFoundError: There is no such user or conversation.
            DuplicateError: The id is taken.
            InvalidValueError: The id or a column is refused.
        """
        check_fields(fields, RunFields)
        tenant = self.unit.scope.owner(tenant_id)
        key = checked_id(id, self.model.__tablename__, MAX_RUN_ID)
        user = await user_text(self.unit, user_id)
        run = WorkflowRun(
            id=key,
            workflow_key=workflow_key,
            tenant_id=str(tenant),
            user_id=user,
            status=WorkflowStatus.RUNNING,
            started_at=await self.unit.read_clock(now),
            conversation_id=await self._key_of_conversation(conversation, tenant),
            **fields,
        )
        return await self.add(run)

    async def _key_of_conversation(self, ref: ConversationRef | None, tenant: UUID) -> str | None:
        if ref is None:
            return None
        key = await conversation_key(self.unit, ref, tenant, lock=True)
        if key is None:
            raise NotFoundError("no such row of agent_conversations")
        return key

    async def finish(
        self,
        run_id: str,
        status: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **output: Unpack[RunOutput],
    ) -> WorkflowRun:
        """End a run that is running; once it has ended, its state stays.

        The same end again returns the run unchanged, so that a worker may repeat the call. Steps
        that still run go on, but for those of a cancelled run, which are cancelled with it.

        Args:
            run_id: The run.
            status: ``succeeded``, ``failed`` or ``cancelled``.
            tenant_id: The tenant, in a system unit.
            now: The clock of the end.
            output: What it ends with.

        Raises:
            NotFoundError: There is no such run.
            InvalidTransitionError: It has ended in another state.
            InvalidValueError: The state ends nothing, or a column refuses its value.
        """
        check_fields(output, RunOutput)
        check_end(status, self.model.__tablename__)
        run = await lock_run(self.unit, run_id, tenant_id)
        if run.status == status:
            return run
        check_running(run)
        at = await self.unit.read_clock(now)
        await self.update(run_id, status=status, ended_at=at, **output)
        if status == WorkflowStatus.CANCELLED:
            await end_steps(self.unit, run_id, WorkflowStatus.CANCELLED, at)
        return run

    async def with_steps(
        self, run_id: str, *, include_deleted: bool = False, tenant_id: UUID | None = None
    ) -> RunWithSteps:
        """Return a run and all its steps, by their numbers.

        Args:
            run_id: The run.
            include_deleted: See a deleted run and deleted steps too.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such run.
        """
        run = await self.one(
            WorkflowRun.id == run_id, *self._of(tenant_id), include_deleted=include_deleted
        )
        found = await WorkflowRunStepRepository(self.unit).all(
            WorkflowRunStep.workflow_run_id == run_id,
            order=[WorkflowRunStep.sequence_no],
            include_deleted=include_deleted,
        )
        return RunWithSteps(run, tuple(found))

    async def search(
        self,
        *,
        workflow_key: str | None = None,
        status: str | None = None,
        conversation: ConversationRef | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
        tenant_id: UUID | None = None,
    ) -> Page[FoundRun]:
        """Return a page of runs, last started first; the number of statements is constant.

        The page follows the runs of one tenant, or of one conversation, in the order of an index; a
        system unit that names neither sorts the runs of all.

        Args:
            workflow_key: Of this workflow.
            status: In this state.
            conversation: Of this conversation; none where it does not exist.
            since: Started at this instant or later.
            until: Started before this instant.
            after: Cursor of the page before; None starts.
            limit: Runs of a page, 1 to 500.
            include_deleted: See deleted runs too.
            tenant_id: The tenant, in a system unit.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
            NaiveDatetimeError: An instant has no time zone.
            TenantRequiredError: A conversation is given by its key, and no tenant is known.
        """
        where, tenant = self._of(tenant_id), self.unit.scope.filter(tenant_id)
        if conversation is not None:
            key = await conversation_key(self.unit, conversation, tenant)
            where.append(false() if key is None else WorkflowRun.conversation_id == key)
        where += [] if workflow_key is None else [WorkflowRun.workflow_key == workflow_key]
        where += [] if status is None else [WorkflowRun.status == status]
        where += [] if since is None else [WorkflowRun.started_at >= since]
        where += [] if until is None else [WorkflowRun.started_at < until]
        runs = await self._newest(*where, after=after, limit=limit, include_deleted=include_deleted)
        counts = await self._count_steps([run.id for run in runs])
        found = [FoundRun(run, counts.get(run.id, 0), _duration(run)) for run in runs]
        return Page(tuple(found), runs.next_cursor)

    async def _count_steps(self, runs: Collection[str]) -> dict[str, int]:
        query = (
            select(steps.c.workflow_run_id, func.count().label("live"))
            .where(steps.c.workflow_run_id.in_(runs), steps.c.deleted_at.is_(None))
            .group_by(steps.c.workflow_run_id)
        )
        return {row.workflow_run_id: row.live for row in await self.unit.execute(query)}

    def _of(self, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        return [] if tenant is None else [WorkflowRun.tenant_id == str(tenant)]

    @override
    async def delete(self, key: str, *, include_deleted: bool = False) -> bool:
        """Delete a run for good, with its steps; its run events stay, and name no run then.

        Returns:
            False if there was none.
        """
        self.unit.check_writable(self.model)
        try:
            await lock_run(self.unit, key, include_deleted=include_deleted)
        except NotFoundError:
            return False
        await delete_steps(self.unit, key)
        return await super().delete(key, include_deleted=include_deleted)

    async def for_conversation(
        self,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[WorkflowRun]:
        """Return a page of the runs of the conversation with this stored key, newest first."""
        return await self._newest(
            WorkflowRun.conversation_id == conversation_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )


def _duration(run: WorkflowRun) -> timedelta | None:
    return None if run.ended_at is None else run.ended_at - run.started_at
