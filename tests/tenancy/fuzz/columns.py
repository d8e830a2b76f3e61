"""What the columns of the tables hold, and which of them may be written."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Text, cast, select

from tests.rows import DISTANT, MODELS, parent_of, table_of

Texts = dict[tuple[str, str], list[str]]
"""The texts that stand in each column, by table and column, of all tenants."""

TABLES = tuple(MODELS)

UNTIED = {
    ("activity_events", "actor_id"),
    ("activity_last_seen", "last_seen_event_id"),
    ("status_subscriptions", "created_by"),
}
"""Columns that name a row by word alone: nothing is read by them, and nothing checks them."""


def ties(table: str) -> list[tuple[Column[Any], str]]:
    """Return the columns that tie a row to a tenant, and the tables that they lead to."""
    found = ((column, parent_of(column)) for column in columns_of(table))
    return [(c, to.table) for c, to in found if to is not None and (table, c.name) not in UNTIED]


@cache
def columns_of(table: str) -> list[Column[Any]]:
    """Return the columns of a table that can be read as text; not those without one."""
    columns = table_of(MODELS[table]).columns
    return [c for c in columns if c.computed is None and not _is_binary(c)]


@cache
def columns_to_write(table: str) -> list[Column[Any]]:
    """Return the columns that neither tie a row to another nor tell it from the others."""
    return [c for c in columns_of(table) if _value_for(c) is not None and not _is_tied(c)]


def written(column: Column[Any]) -> Any:
    """Return a value to write into a column."""
    return _value_for(column)


def _value_for(column: Column[Any]) -> Any:
    if type(column.type).__name__ in {"Choice", "NativeEnum", "CITEXTCompat"}:
        return None
    return _WRITTEN.get(column.type.python_type)


def _is_tied(column: Column[Any]) -> bool:
    return parent_of(column) is not None or column.primary_key or _is_unique(column)


_WRITTEN: dict[type[Any], Any] = {str: "hack", int: 7, bool: False, datetime: DISTANT}


def _is_binary(column: Column[Any]) -> bool:
    kind: Any = getattr(column.type, "impl", column.type)
    return isinstance(kind, LargeBinary) or column.type.python_type is bytes


def _is_unique(column: Column[Any]) -> bool:
    table: Any = column.table
    unique = [index.columns for index in table.indexes if index.unique]
    unique += [c.columns for c in table.constraints if type(c).__name__ == "UniqueConstraint"]
    return bool(column.unique) or any(column.name in some for some in unique)


def stored_texts(connection: Connection) -> Texts:
    """Return what stands in the columns of all tables."""
    found: Texts = {}
    for name in TABLES:
        for column in columns_of(name):
            query = select(cast(column, Text)).distinct().where(column.is_not(None))
            found[name, column.name] = sorted(connection.execute(query).scalars())
    return found
