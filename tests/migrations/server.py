"""What a PostgreSQL server knows of those who migrate."""

from __future__ import annotations

import psycopg

from agentdb.urls import sync_url

_HOLDERS = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY pid
"""
_INDEX = """
    SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = %s
"""
_INVALID = """
    SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid
"""
_WAITS = "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


def plain(url: str) -> str:
    """Return the URL as psycopg reads it."""
    return sync_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def lock_holders(server: psycopg.Connection) -> list[int]:
    """Return the backends that hold the lock of the migrations in this database."""
    return [pid for (pid,) in server.execute(_HOLDERS)]


def is_valid(server: psycopg.Connection, index: str) -> bool | None:
    """Return whether an index can be used; None where there is none."""
    found = server.execute(_INDEX, (index,)).fetchone()
    return None if found is None else bool(found[0])


def invalid_indexes(server: psycopg.Connection) -> list[str]:
    """Return the indexes that a build left behind."""
    return [name for (name,) in server.execute(_INVALID)]


def waits_for(server: psycopg.Connection, table: str) -> bool:
    """Whether somebody queues for a lock on a table."""
    (count,) = server.execute(_WAITS, (table,)).fetchone() or (0,)
    return bool(count)
