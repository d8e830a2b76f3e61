"""Rows of all 46 tables for one tenant, made from the mapper: valid, tied together, repeatable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import Column, Connection, Table, inspect, select
from sqlalchemy.orm import Session
from sqlalchemy.schema import sort_tables

from agentdb import models
from agentdb.orm import Base, TenancyClass
from agentdb.types import Choice, CITEXTCompat, JSONCompat, NativeEnum

Rows = dict[str, Any]
"""A row of each table, by its name."""

INSTANT = datetime(2025, 3, 1, 12, tzinfo=UTC)
DAY = date(2025, 3, 1)
LISTS = {"attachments", "billing_contacts_json", "request_usage_entries", "scopes"}
"""JSON columns that hold a list."""
SAID: dict[tuple[str, str], str] = {
    ("workflow_runs", "user_id"): "users",
    ("status_subscriptions", "created_by"): "users",
    ("activity_events", "actor_id"): "users",
    ("activity_last_seen", "last_seen_event_id"): "activity_events",
}
"""References that the schema does not know, and the table whose key they hold."""


def _in_order() -> dict[str, type[Base]]:
    mapped = {mapper.class_.__tablename__: mapper.class_ for mapper in models.Base.registry.mappers}
    tables = models.Base.metadata.tables
    said = [(tables[parent], tables[table]) for (table, _), parent in SAID.items()]
    for name, model in mapped.items():
        if model.__tenancy__.column not in {None, "id"}:
            parent = model.__tenancy__.parent or "tenant_accounts"
            said.append((tables[parent], tables[name]))
    ordered = sort_tables(tables.values(), extra_dependencies=said)
    return {table.name: mapped[table.name] for table in ordered}


MODELS = _in_order()
"""The model of each table, parents first."""


def table_of(model: type[Base]) -> Table:
    """Return the table of a model."""
    return cast("Table", model.__table__)


def attribute_of(column: Column[Any]) -> str:
    """Return the attribute that a column is mapped to."""
    return inspect(MODELS[column.table.name]).get_property_by_column(column).key


def key_of(row: Base) -> Any:
    """Return the primary key of a row; a tuple where it has several columns."""
    columns = table_of(type(row)).primary_key.columns
    values = [getattr(row, attribute_of(column)) for column in columns]
    return tuple(values) if len(values) > 1 else values[0]


def rows_of(label: str) -> Rows:
    """Return a row of every table for a tenant named *label*, none of them stored.

    The same label makes the same rows. It stands in every text, so that a row is known by it.
    """
    rows: Rows = {}
    for name in MODELS:
        rows[name] = row_of(name, label, rows)
    return rows


def row_of(name: str, label: str, parents: Mapping[str, Any], **values: Any) -> Any:
    """Return a row of the table *name*.

    Args:
        name: The table.
        label: What its key, its texts and its other unique values are made from.
        parents: Rows that it may refer to, by table.
        values: Columns that are to hold something else.
    """
    return MODELS[name](**{**values_of(name, label, parents), **values})


def values_of(name: str, label: str, parents: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row as `row_of` makes it, by attribute."""
    columns = [c for c in table_of(MODELS[name]).columns if not _is_drawn(c)]
    values = {attribute_of(column): _value(column, label, parents) for column in columns}
    return {key: value for key, value in values.items() if value is not _LEFT}


_LEFT = object()
"""Stands for a column that keeps its default."""


def _is_drawn(column: Column[Any]) -> bool:
    return column.computed is not None or (
        column.primary_key and column.type.python_type is int and not column.foreign_keys
    )


def _value(column: Column[Any], label: str, parents: Mapping[str, Any]) -> Any:
    parent = parent_of(column)
    if parent is not None:
        return _reference(column, label, parents, parent)
    if column.name == "conversation_key":
        return f"{parents['tenant_accounts'].id}:{label}"
    if column.type.python_type is datetime and column.nullable:
        return None  # not deleted, not revoked, not truncated
    has_default = column.default is not None and column.default.is_scalar
    return _LEFT if has_default else _made(column, label)


def _made(column: Column[Any], label: str) -> Any:
    kind = column.type.python_type
    if isinstance(column.type, Choice):
        return column.type.labels[0]
    if isinstance(column.type, JSONCompat):
        return [{"label": label}] if column.name in LISTS else {"label": label}
    if isinstance(column.type, NativeEnum):
        return next(iter(cast("Iterable[Any]", kind)))
    return _SAME[kind] if kind in _SAME else _MAKERS[kind](column, label)


def parent_of(column: Column[Any]) -> tuple[str, str] | None:
    """Return the table and the attribute that a column refers to."""
    table = column.table.name
    tenancy = MODELS[table].__tenancy__
    for key in column.foreign_keys:
        return key.column.table.name, key.column.name
    if column.name == tenancy.column and table not in {"tenant_accounts", "users"}:
        return (tenancy.parent or "tenant_accounts"), "id"
    return (SAID[table, column.name], "id") if (table, column.name) in SAID else None


def _reference(
    column: Column[Any], label: str, parents: Mapping[str, Any], parent: tuple[str, str]
) -> Any:
    table, attribute = parent
    if table == column.table.name:
        return _uuid(column.table.c[attribute], label)  # its own parent
    value = getattr(parents[table], attribute)
    return str(value) if column.type.python_type is str else value


def _uuid(column: Column[Any], label: str) -> UUID:
    return uuid5(NAMESPACE_OID, f"{label}/{column}")


def _text(column: Column[Any], label: str) -> str:
    if isinstance(column.type, CITEXTCompat):
        return f"{label}@{column.name.replace('_', '-')}.example"
    length: int | None = getattr(column.type, "length", None)
    return f"{label}-{column.name.replace('_', '-')}"[:length]


def _bytes(_: Column[Any], label: str) -> bytes:
    return label.encode()


_MAKERS: dict[type[Any], Callable[[Column[Any], str], Any]] = {
    UUID: _uuid,
    str: _text,
    bytes: _bytes,
}
_SAME: dict[type[Any], Any] = {int: 1, bool: True, datetime: INSTANT, date: DAY}
"""Values that are the same in all rows."""


def unowned_rows_of(label: str, parents: Mapping[str, Any]) -> Rows:
    """Return a row without a tenant for each table that takes them; the people are *parents*'."""
    optional = [n for n, m in MODELS.items() if m.__tenancy__.kind is TenancyClass.OPTIONAL]
    return {name: row_of(name, label, parents, tenant_id=None) for name in optional}


def store(session: Session, rows: Iterable[Base]) -> None:
    """Store rows, parents first; the caller commits. For `AsyncSession.run_sync` too."""
    for row in rows:
        session.add(row)
        # Without relationships between them, one flush would not know the order.
        session.flush()


Snapshot = dict[str, dict[tuple[Any, ...], dict[str, Any]]]
"""All rows of all tables: by table, and by primary key."""


def snapshot(connection: Connection) -> Snapshot:
    """Return all that is stored, past any session; for `AsyncConnection.run_sync`."""
    return {name: _content(connection, table_of(model)) for name, model in MODELS.items()}


def _content(connection: Connection, table: Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    keys = [column.name for column in table.primary_key.columns]
    found = connection.execute(select(*(c for c in table.columns if c.computed is None)))
    rows = [dict(row) for row in found.mappings()]
    return {tuple(row[key] for key in keys): row for row in rows}
