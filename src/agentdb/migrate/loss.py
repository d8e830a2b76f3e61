"""What a downgrade would delete."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, MetaData, Table, column, func, literal, select

from agentdb.migrate.connections import Target, looking, revision_at
from agentdb.migrate.offline import sql
from agentdb.migrate.revisions import BASE, resolve
from agentdb.migrate.runs import falling

COUNTED = 10_000
"""Rows that are counted in each table: beyond that the exact number decides nothing."""

_DROPPED = re.compile(
    r'^(?:DROP TABLE|ALTER TABLE) "?(\w+)"?(?: DROP COLUMN "?(\w+)"?)?;$', re.MULTILINE
)


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
    """
    aim = resolve(revision)
    with looking(target, schema=schema) as connection:
        at = revision_at(connection)
        if not falling(at, aim):
            return []
        # The SQL of PostgreSQL, where a dropped column is one statement.
        script = sql("postgresql", aim or BASE, start=at or BASE)
        found = [_count(connection, *dropped) for dropped in _DROPPED.findall(script)]
    return [loss for loss in found if loss.rows]


def _count(connection: Connection, name: str, dropped: str) -> Loss:
    some = select(literal(1)).select_from(Table(name, MetaData())).limit(COUNTED)
    if dropped:
        some = some.where(column(dropped, Integer).is_not(None))
    rows = connection.scalar(select(func.count()).select_from(some.subquery()))
    return Loss(name, dropped or None, rows or 0)
