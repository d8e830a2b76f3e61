"""Repositories of workflow runs and their steps."""

from agentdb.workflows.repository.runs import WorkflowRunRepository
from agentdb.workflows.repository.steps import WorkflowRunStepRepository

__all__ = ["WorkflowRunRepository", "WorkflowRunStepRepository"]
