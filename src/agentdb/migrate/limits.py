"""How long a migration may wait and work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Progress: TypeAlias = Callable[[str], None]
"""Is told in one sentence what is waited for, and which revision was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one migration, in seconds; None switches a limit off.

    Attributes:
        wait: How long it waits for other upgraders, and tries again for locks on tables.
        lock_timeout: How long a statement waits for the lock on a table; readers that come later
            queue behind it for as long, so it gives up and tries again. PostgreSQL.
        statement_timeout: How long a statement may run; building an index takes the time that it
            takes. PostgreSQL.
    """

    wait: float = 300.0
    lock_timeout: float | None = 0.4
    statement_timeout: float | None = None


DEFAULT_LIMITS = Limits()
