"""What can be set of a database: limits, time-outs, durability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits of one `Database`; times are seconds, None switches a limit off.

    Attributes:
        pool_size: Connections kept open.
        max_overflow: Connections above that, closed after use.
        pool_timeout: How long a unit of work waits for a connection.
        pool_recycle: Age at which a connection is replaced.
        ping_after: Idle time after which a connection is tested before use; a test on every
            checkout would cost a round trip for each unit.
        connect_timeout: How long connecting may take.
        statement_timeout: How long a statement may run; PostgreSQL.
        lock_timeout: How long a statement may wait for a lock; PostgreSQL.
        idle_timeout: How long a unit may sit in its transaction without a statement; PostgreSQL.
        busy_timeout: How long a writer waits for another; SQLite.
        synchronous: NORMAL loses the last commits if the machine loses power, never the integrity
            of the file; FULL loses none. SQLite: https://www.sqlite.org/pragma.html#pragma_synchronous.
        pooler: ``"pgbouncer"`` for a pooler in transaction mode: no prepared statements, no state
            outside transactions.
        notify: Tell other processes after a COMMIT what they may wait for, and hear what they
            commit, over two connections more; without it they find it when they next look.
            PostgreSQL.
        rls: ``"require"`` refuses each unit of a tenant on a connection that row-level security
            does not bind: of a superuser, of a role with BYPASSRLS, of an owner of tables without
            FORCE, or to a database where it is not enabled; ``"auto"`` works with and without it.
            PostgreSQL.
    """

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 10.0
    pool_recycle: float = 1800.0
    ping_after: float = 5.0
    connect_timeout: int = 10
    statement_timeout: float | None = 30.0
    lock_timeout: float | None = 10.0
    idle_timeout: float | None = 60.0
    busy_timeout: float = 10.0
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    pooler: Literal["pgbouncer"] | None = None
    notify: bool = False
    rls: Literal["auto", "require"] = "auto"
