"""Workflow runs and their steps."""

from __future__ import annotations

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep


class WorkflowRunRepository(Repository[WorkflowRun, str]):
    """Runs of workflows."""

    model = WorkflowRun
    newest = "started_at"

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


class WorkflowRunStepRepository(Repository[WorkflowRunStep, str]):
    """Steps of workflow runs."""

    model = WorkflowRunStep
    newest = "started_at"
