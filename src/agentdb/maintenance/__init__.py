"""Keeping the tables tidy; nothing of it runs by itself.

Every verb takes a database, or the URL of one, and works in batches, each a unit of work of its
own. It skips what others have locked, and can run in several processes, be killed and be run again.
A dry run counts what a run would change now.
"""

from agentdb.maintenance.conversations import purge_run_events, purge_summaries, reconcile
from agentdb.maintenance.queue import purge_queue_items, recover_queue_items
from agentdb.maintenance.runner import PlanOptions, Report
from agentdb.maintenance.truncated import purge_truncated
from agentdb.maintenance.workflows import fail_stale_runs, purge_deleted

__all__ = [
    "PlanOptions",
    "Report",
    "fail_stale_runs",
    "purge_deleted",
    "purge_queue_items",
    "purge_run_events",
    "purge_summaries",
    "purge_truncated",
    "reconcile",
    "recover_queue_items",
]
