"""The values that columns of the workflow tables take."""

from enum import StrEnum


class WorkflowStatus(StrEnum):
    """Where a workflow run or one of its steps stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


MAX_RUN_ID = 64
"""Characters of a run's id: what run events and frames can refer with."""

CANCELLED_REASON = "agentdb.cancelled_reason"
"""Key in ``metadata_json`` of a run that holds why it was cancelled; no column does."""
