"""The values that columns of the workflow tables take."""

from enum import StrEnum


class WorkflowStatus(StrEnum):
    """Where a workflow run or one of its steps stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
