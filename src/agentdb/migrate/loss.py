"""What a downgrade would delete."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, MetaData, Table, column, func, literal, select, text

from agentdb.errors import PermissionDeniedError
from agentdb.migrate.connections import Target, looking, revision_at
from agentdb.migrate.offline import sql
from agentdb.migrate.revisions import BASE, resolve
from agentdb.migrate.runs import falling
from agentdb.search_path import mapped_schema

COUNTED = 10_000
"""Rows that are counted in each table: beyond that the exact number decides nothing."""

_DROPPED = re.compile(
    r'^(?:DROP TABLE|ALTER TABLE) "?(\w+)"?(?: DROP COLUMN "?(\w+)"?)?;$', re.MULTILINE
)
_HIDDEN = text("""
    SELECT bool_or(row_security_active(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema())
      AND c.relname = ANY(:tables)
""")


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that a downgrade would delete.

    Attributes:
        table: The table.
        column: The column; None for the whole table.
        rows: Rows that have something there, at most `COUNTED`.
    """

    table: str
    column: str | None
    rows: int


def losses(target: Target, revision: str, *, schema: str | None = None) -> list[Loss]:
    """Return what `downgrade` to *revision* would delete; empty where that holds no rows.

    Raises:
        SchemaVersionError: As of `downgrade`.
        PermissionDeniedError: Row-level security hides the rows from the role.
    """
    aim = resolve(revision)
    with looking(target, schema=schema) as connection:
        at = revision_at(connection)
        if not falling(at, aim):
            return []
        # The SQL of PostgreSQL, where a dropped column is one statement.
        script = sql("postgresql", aim or BASE, start=at or BASE)
        dropped = _DROPPED.findall(script)
        _require_sight(connection, [table for table, _ in dropped])
        found = [_count(connection, table, lost) for table, lost in dropped]
    return [loss for loss in found if loss.rows]


def _require_sight(connection: Connection, tables: list[str]) -> None:
    names = {"schema": mapped_schema(connection), "tables": tables}
    if connection.dialect.name == "postgresql" and connection.scalar(_HIDDEN, names):
        raise PermissionDeniedError(
            "row-level security hides from this role what would be lost: connect by one with"
            " BYPASSRLS, or disable it first"
        )


def _count(connection: Connection, name: str, dropped: str) -> Loss:
    some = select(literal(1)).select_from(Table(name, MetaData())).limit(COUNTED)
    if dropped:
        some = some.where(column(dropped, Integer).is_not(None))
    rows = connection.scalar(select(func.count()).select_from(some.subquery()))
    return Loss(name, dropped or None, rows or 0)
