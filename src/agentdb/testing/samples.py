"""A row of every table for one tenant: valid, tied together, and known by its label in every text.

The factories make rows as a host would have them; here every column holds something, so that a row
cannot show anywhere without being noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Column
from sqlalchemy.orm import Session

from agentdb.orm import Base, TenancyClass
from agentdb.testing.factories.columns import EPOCH, is_drawn, made, uuid_of
from agentdb.testing.factories.references import (
    as_held,
    attribute_of,
    models_by_table,
    table_of,
    target_of,
)

Rows: TypeAlias = dict[str, Any]
"""A row of each table, by its name."""


def sample_rows(
    label: str, *, at: datetime = EPOCH, given: Mapping[str, Any] | None = None
) -> Rows:
    """Return a row of every table, none of them stored; the same label makes the same rows.

    Args:
        label: Stands in every text, and is what keys are made from.
        at: The instant of the rows.
        given: Rows that are there already, by table.
    """
    rows: Rows = dict(given or {})
    for name in models_by_table():
        if name not in rows:
            rows[name] = sample_row(name, label, rows, at=at)
    return rows


def sample_row(
    name: str, label: str, parents: Mapping[str, Any], *, at: datetime = EPOCH, **values: object
) -> Any:
    """Return a row of the table *name*.

    Args:
        name: The table.
        label: What its key, its texts and its other unique values are made from.
        parents: Rows that it may refer to, by table.
        at: Its instant.
        values: Columns that are to hold something else, by attribute.
    """
    return models_by_table()[name](**{**sample_values(name, label, parents, at=at), **values})


def sample_values(
    name: str, label: str, parents: Mapping[str, Any], *, at: datetime = EPOCH
) -> dict[str, Any]:
    """Return the columns of a row as `sample_row` makes it, by attribute."""
    columns = table_of(models_by_table()[name]).columns
    values = {attribute_of(c): _value(c, label, parents, at) for c in columns if not is_drawn(c)}
    return {key: value for key, value in values.items() if value is not _LEFT}


def unowned_rows(label: str, parents: Mapping[str, Any]) -> Rows:
    """Return a row without a tenant for each table that takes them, about *parents*' people."""
    return {
        name: sample_row(name, label, parents, tenant_id=None)
        for name, model in models_by_table().items()
        if model.__tenancy__.kind is TenancyClass.OPTIONAL
    }


def store(session: Session, rows: Iterable[Base]) -> None:
    """Store rows, parents first; the caller commits. For `AsyncSession.run_sync` too."""
    for row in rows:
        session.add(row)
        # Without relationships between them, one flush would not know the order.
        session.flush()


_LEFT = object()
"""Stands for a column that keeps its default."""


def _value(column: Column[Any], label: str, parents: Mapping[str, Any], at: datetime) -> Any:
    target = target_of(column)
    if target is not None and target.table == column.table.name:
        return uuid_of(column.table.c[target.attribute], label)  # its own parent
    if target is not None:
        return as_held(column, getattr(parents[target.table], target.attribute))
    if column.name == "conversation_key":
        return f"{parents['tenant_accounts'].id}:{label}"
    if column.type.python_type is datetime and column.nullable:
        return None  # not deleted, not revoked, not truncated
    has_default = column.default is not None and column.default.is_scalar
    return _LEFT if has_default else made(column, label, at)
