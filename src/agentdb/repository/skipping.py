"""Choosing rows that nobody else has locked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, any_, func


def among(column: Any, free: Select[Any], *, postgresql: bool) -> ColumnElement[bool]:
    """Return the condition that a key is one of *free*, a query that locks and skips.

    On PostgreSQL an array is made of them before: such a subquery might run anew for each row, and
    find others each time.
    """
    if not postgresql:
        found: ColumnElement[bool] = column.in_(free)
        return found
    one_of: ColumnElement[bool] = column == any_(func.array(free.scalar_subquery()))
    return one_of
