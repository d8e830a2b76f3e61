"""All that is stored, to be compared with what is stored later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, select

from agentdb.testing.factories.references import models_by_table, table_of

Key: TypeAlias = tuple[str, tuple[Any, ...]]
"""A row: its table, and its primary key."""

Snapshot: TypeAlias = dict[Key, dict[str, Any]]
"""The columns of all rows."""


def snapshot(connection: Connection, tables: Iterable[Table] = ()) -> Snapshot:
    """Return all rows of the 46 tables, and of *tables*, past any session."""
    ours = (table_of(model) for model in models_by_table().values())
    return {key: row for table in (*ours, *tables) for key, row in _rows(connection, table)}


def differences(before: Snapshot, after: Snapshot) -> set[Key]:
    """Return which rows were added, changed or deleted."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _rows(connection: Connection, table: Table) -> Iterable[tuple[Key, dict[str, Any]]]:
    keys = [column.name for column in table.primary_key.columns]
    found = connection.execute(select(*(c for c in table.columns if c.computed is None)))
    for row in found.mappings():
        yield (table.name, tuple(row[key] for key in keys)), dict(row)
