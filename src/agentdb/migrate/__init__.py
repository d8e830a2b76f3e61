"""The migrations as functions: what ``agentdb upgrade`` and its sisters call.

Each takes a URL or a live connection, is synchronous, and works inside a running event loop (it
blocks it; `Database.upgrade` does not). With ``schema=`` it works in that schema of a PostgreSQL
database, beside others. Nothing is migrated unless asked.
"""

from __future__ import annotations

from agentdb.migrate.check import check
from agentdb.migrate.connections import Target
from agentdb.migrate.current import current
from agentdb.migrate.limits import Limits, Progress
from agentdb.migrate.locks import exclusive
from agentdb.migrate.losses import Loss, losses
from agentdb.migrate.offline import sql
from agentdb.migrate.revisions import Phase, Revision, heads, history, script_location
from agentdb.migrate.runs import downgrade, pending, stamp, upgrade, upgrade_connection
from agentdb.migrate.verdicts import State, Verdict, require_current, verdict, wait

__all__ = [
    "Limits",
    "Loss",
    "Phase",
    "Progress",
    "Revision",
    "State",
    "Target",
    "Verdict",
    "check",
    "current",
    "downgrade",
    "exclusive",
    "heads",
    "history",
    "losses",
    "pending",
    "require_current",
    "script_location",
    "sql",
    "stamp",
    "upgrade",
    "upgrade_connection",
    "verdict",
    "wait",
]
