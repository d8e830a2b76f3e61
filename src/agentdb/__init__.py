"""The persistence layer of multi-tenant AI-agent services.

Names are loaded when they are first used, so that importing a part does not import the whole.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentdb.conversations.rows import MessageRow, NewMessage
    from agentdb.database import Database, Health
    from agentdb.digests import digests_equal, token_digest
    from agentdb.engines import configure
    from agentdb.errors import AgentDBError
    from agentdb.ledger.queue.rows import QueueItem
    from agentdb.ledger.rows import LedgerFrame, LedgerPage, Recorded
    from agentdb.models import Base
    from agentdb.paging import Page
    from agentdb.settings import Settings
    from agentdb.unit_of_work import UnitOfWork
    from agentdb.worker.pool import Worker

    metadata = Base.metadata

__version__ = "0.1.0"

_HOMES = {
    "AgentDBError": "agentdb.errors",
    "Base": "agentdb.models",
    "Database": "agentdb.database",
    "Health": "agentdb.database",
    "LedgerFrame": "agentdb.ledger.rows",
    "LedgerPage": "agentdb.ledger.rows",
    "MessageRow": "agentdb.conversations.rows",
    "NewMessage": "agentdb.conversations.rows",
    "Page": "agentdb.paging",
    "QueueItem": "agentdb.ledger.queue.rows",
    "Recorded": "agentdb.ledger.rows",
    "Settings": "agentdb.settings",
    "UnitOfWork": "agentdb.unit_of_work",
    "Worker": "agentdb.worker.pool",
    "configure": "agentdb.engines",
    "digests_equal": "agentdb.digests",
    "token_digest": "agentdb.digests",
}

__all__ = [
    "AgentDBError",
    "Base",
    "Database",
    "Health",
    "LedgerFrame",
    "LedgerPage",
    "MessageRow",
    "NewMessage",
    "Page",
    "QueueItem",
    "Recorded",
    "Settings",
    "UnitOfWork",
    "Worker",
    "__version__",
    "configure",
    "digests_equal",
    "metadata",
    "token_digest",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it."""
    if name == "metadata":
        return import_module("agentdb.models").Base.metadata
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
