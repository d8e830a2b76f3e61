"""What spans several tables: plain functions that take a unit of work first and can share one."""

from agentdb.operations.conversations_deletion import Deleted, delete_conversation
from agentdb.operations.ledger import append_ledger
from agentdb.operations.messages import Appended, append_messages
from agentdb.operations.runs import Completed, RunActivity, complete_run
from agentdb.operations.sign_up import SignedUp, sign_up
from agentdb.operations.truncation import Truncated, truncate_from
from agentdb.operations.workflows import (
    StartedRun,
    cancel_run,
    delete_run,
    restore_run,
    soft_delete_run,
    start_workflow_run,
)

__all__ = [
    "Appended",
    "Completed",
    "Deleted",
    "RunActivity",
    "SignedUp",
    "StartedRun",
    "Truncated",
    "append_ledger",
    "append_messages",
    "cancel_run",
    "complete_run",
    "delete_conversation",
    "delete_run",
    "restore_run",
    "sign_up",
    "soft_delete_run",
    "start_workflow_run",
    "truncate_from",
]
