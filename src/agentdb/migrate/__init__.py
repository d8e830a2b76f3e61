"""The migrations as functions: what ``agentdb upgrade`` and its sisters call.

Each takes a URL or a live connection, is synchronous, and works inside a running event loop (it
blocks it; `Database.upgrade` does not). With ``schema=`` it works in that schema of a PostgreSQL
database, beside others. Nothing is migrated unless asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentdb.migrate.connections import Target
from agentdb.migrate.drift import check
from agentdb.migrate.limits import Limits, Progress
from agentdb.migrate.locks import exclusive
from agentdb.migrate.loss import COUNTED, Loss, losses
from agentdb.migrate.offline import sql
from agentdb.migrate.revisions import Phase, Revision, heads, history, script_location
from agentdb.migrate.runs import downgrade, pending, stamp, upgrade, upgrade_connection
from agentdb.migrate.verdicts import State, Verdict, current, require_current, verdict, wait

if TYPE_CHECKING:
    from agentdb.migrate.autogenerate import (
        Filters,
        filters,
        include_name,
        include_object,
        render_item,
    )
    from agentdb.migrate.host import upgrade_in
    from agentdb.migrate.indexes import create_index_concurrently

# These import Alembic or map all tables, which a replica with nothing to do should not wait for.
_HOMES = {
    "Filters": "agentdb.migrate.autogenerate",
    "create_index_concurrently": "agentdb.migrate.indexes",
    "filters": "agentdb.migrate.autogenerate",
    "include_name": "agentdb.migrate.autogenerate",
    "include_object": "agentdb.migrate.autogenerate",
    "render_item": "agentdb.migrate.autogenerate",
    "upgrade_in": "agentdb.migrate.host",
}

__all__ = [
    "COUNTED",
    "Filters",
    "Limits",
    "Loss",
    "Phase",
    "Progress",
    "Revision",
    "State",
    "Target",
    "Verdict",
    "check",
    "create_index_concurrently",
    "current",
    "downgrade",
    "exclusive",
    "filters",
    "heads",
    "history",
    "include_name",
    "include_object",
    "losses",
    "pending",
    "render_item",
    "require_current",
    "script_location",
    "sql",
    "stamp",
    "upgrade",
    "upgrade_connection",
    "upgrade_in",
    "verdict",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
