"""The order of a page: columns in one direction that end in the primary key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, inspect, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Mapper
from sqlalchemy.sql import operators

from agentdb.errors import InvalidValueError
from agentdb.orm import Base
from agentdb.types import JSONCompat

OrderBy = InstrumentedAttribute[Any] | UnaryExpression[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """Sort columns of one model, all ascending or all descending, ending in its key.

    Attributes:
        names: Attributes of the model.
        columns: The same, as columns.
        descending: The direction that they share.
    """

    names: tuple[str, ...]
    columns: tuple[InstrumentedAttribute[Any], ...]
    descending: bool

    @property
    def nullable(self) -> bool:
        """Whether the walk has a second part: the rows whose first column is NULL."""
        return bool(self.columns[0].property.columns[0].nullable)

    @property
    def kinds(self) -> list[type[Any]]:
        """Python types of the columns."""
        return [column.type.python_type for column in self.columns]

    def by(self, start: int = 0) -> list[ColumnElement[Any]]:
        """Return the ORDER BY, from column *start* on."""
        chosen = self.columns[start:]
        return [c.desc() if self.descending else c.asc() for c in chosen]

    def after(self, values: Sequence[Any], start: int = 0) -> ColumnElement[bool]:
        """Return the condition that a row comes after *values*, as one row-value comparison.

        Written out with OR it would be a filter over all rows before the position; a row value is a
        range of the index: https://www.postgresql.org/docs/current/functions-comparisons.html.
        """
        columns = self.columns[start:]
        bound = [literal(v, c.type) for c, v in zip(columns, values[start:], strict=True)]
        row = tuple_(*columns)
        return row < tuple_(*bound) if self.descending else row > tuple_(*bound)

    def position(self, row: Base) -> list[Any]:
        """Return the sort values of a row."""
        return [getattr(row, name) for name in self.names]


def order_of(model: type[Base], order: Sequence[OrderBy]) -> Order:
    """Return *order*, completed by the primary key of *model*.

    Raises:
        InvalidValueError: The directions differ, a column is of another table, holds JSON, or is
            nullable without being the first.
    """
    mapper = inspect(model)
    parts = [_part(item, mapper) for item in order]
    directions = {descending for _, descending in parts}
    if len(directions) > 1:
        raise InvalidValueError("the columns of an order share one direction")
    names = [name for name, _ in parts]
    keys = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
    names += [key for key in keys if key not in names]
    columns = tuple(getattr(model, name) for name in names)
    _check_columns(columns)
    return Order(tuple(names), columns, directions == {True})


def _part(item: OrderBy, mapper: Mapper[Any]) -> tuple[str, bool]:
    descending = getattr(item, "modifier", None) is operators.desc_op
    element = item.element if isinstance(item, UnaryExpression) else item
    key = str(getattr(element, "key", ""))
    owner = getattr(getattr(element, "table", None), "name", None)
    own = mapper.class_.__tablename__
    if key not in mapper.column_attrs or owner != own:
        raise InvalidValueError(f"an order names columns of {own}")
    return key, descending


def _check_columns(columns: Sequence[InstrumentedAttribute[Any]]) -> None:
    for place, column in enumerate(columns):
        if isinstance(column.type, JSONCompat):
            raise InvalidValueError("JSON takes no part in an order", column=column.key)
        if place and column.property.columns[0].nullable:
            raise InvalidValueError("only the first column of an order may be nullable")
