"""Keeping the tables tidy; nothing of it runs by itself.

Every verb takes a database, or the URL of one, and works in batches, each a unit of work of its
own. It skips what others have locked, and can run in several processes, be killed and be run again.
A dry run counts what a run would change now.
"""

from agentdb.maintenance.activity import purge_activity_events
from agentdb.maintenance.billing import apply_pending_plans
from agentdb.maintenance.conversations import purge_run_events, purge_summaries
from agentdb.maintenance.counters import roll_up_usage
from agentdb.maintenance.credentials import (
    purge_recovery_codes,
    purge_sessions,
    purge_tokens,
)
from agentdb.maintenance.deleted import purge_deleted
from agentdb.maintenance.logs import purge_login_events, purge_security_events
from agentdb.maintenance.queue import purge_queue_items, recover_queue_items
from agentdb.maintenance.reconcile import reconcile
from agentdb.maintenance.runner import PlanOptions, Report
from agentdb.maintenance.signup import (
    expire_invites,
    expire_reservations,
    purge_signup_requests,
)
from agentdb.maintenance.status import expire_status_subscriptions
from agentdb.maintenance.storage import expire_objects, expire_uploads
from agentdb.maintenance.stripe import purge_stripe_events, recover_dispatches
from agentdb.maintenance.truncated import purge_truncated
from agentdb.maintenance.vector_stores import expire_vector_stores
from agentdb.maintenance.workflows import fail_stale_runs

__all__ = [
    "PlanOptions",
    "Report",
    "apply_pending_plans",
    "expire_invites",
    "expire_objects",
    "expire_reservations",
    "expire_status_subscriptions",
    "expire_uploads",
    "expire_vector_stores",
    "fail_stale_runs",
    "purge_activity_events",
    "purge_deleted",
    "purge_login_events",
    "purge_queue_items",
    "purge_recovery_codes",
    "purge_run_events",
    "purge_security_events",
    "purge_sessions",
    "purge_signup_requests",
    "purge_stripe_events",
    "purge_summaries",
    "purge_tokens",
    "purge_truncated",
    "reconcile",
    "recover_dispatches",
    "recover_queue_items",
    "roll_up_usage",
]
