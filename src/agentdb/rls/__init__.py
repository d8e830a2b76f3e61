"""Row-level security of PostgreSQL: what ``agentdb rls`` calls.

The filter and the guard of a unit of work confine what it sends. These policies confine what its
connection may see at all, whatever sends the statement. Each function takes a URL or a live
connection, is synchronous, and works in the schema of ``schema=``, as those of `agentdb.migrate`.
"""

from agentdb.rls.changes import disable, enable
from agentdb.rls.roles import Roles, grants
from agentdb.rls.scripts import script
from agentdb.rls.state import RlsState, RlsStatus, TableState
from agentdb.rls.status import require, status

__all__ = [
    "RlsState",
    "RlsStatus",
    "Roles",
    "TableState",
    "disable",
    "enable",
    "grants",
    "require",
    "script",
    "status",
]
