"""Adding to a counter that may not exist yet, in one statement that is built once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Column, ColumnElement, and_, bindparam, func, select, true
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.errors import InvalidValueError, ValueOutOfRangeError
from agentdb.orm import Base
from agentdb.repository.entities import entity_of, flush_pending
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime, utc_now
from agentdb.unit import Unit

M = TypeVar("M", bound=Base)

Insert: TypeAlias = postgresql.Insert | sqlite.Insert

_NOW = bindparam("now", type_=UTCDateTime())
_ROOM = "room_"


def counting(
    model: type[Base],
    key: UniqueKey,
    parent: ColumnElement[bool],
    sums: Mapping[str, ColumnElement[Any] | None],
    stamps: Mapping[str, bool],
    *,
    on_postgresql: bool,
) -> Insert:
    """Build the statement of a counter, which answers the row, or nothing if nothing was counted.

    Each column is a parameter of its name, and `room` adds those that keep sums in their columns:
    PostgreSQL would fail, and SQLite store what the column does not hold.

    Args:
        model: The table.
        key: The unique key that the row of a counter is known by.
        parent: The condition that what the counter belongs to exists.
        sums: Columns that add up, and what they become in a present row; None adds the parameter.
        stamps: Columns that hold when a row was written, and whether they follow later changes.
        on_postgresql: Whether the database is PostgreSQL, else it is SQLite.
    """
    columns, clock = table_of(model).c, _clock(on_postgresql=on_postgresql)
    # A query of its own, so that the stamps of a row are one instant.
    moment = select(clock.label("at")).subquery("moment")
    given = [moment.c.at if c.name in stamps else _parameter(c) for c in columns]
    rows = select(*given).select_from(moment).where(parent)
    dialect: Any = postgresql if on_postgresql else sqlite
    insert: Any = dialect.insert(table_of(model))
    insert = insert.from_select([c.name for c in columns], rows, include_defaults=False)
    changes: dict[str, Any] = {name: clock for name, follows in stamps.items() if follows}
    for name, total in sums.items():
        changes[name] = columns[name] + insert.excluded[name] if total is None else total
    target: dict[str, Any] = {"index_elements": list(key.columns)}
    if key.where:
        target["index_where"] = key.where[0]
    fits = [columns[name] <= _parameter(columns[name], _ROOM) for name in sums]
    insert = insert.on_conflict_do_update(**target, set_=changes, where=and_(true(), *fits))
    counted: Insert = insert.returning(*columns)
    return counted


def _clock(*, on_postgresql: bool) -> ColumnElement[Any]:
    if not on_postgresql:
        return _NOW
    return func.coalesce(_NOW, func.clock_timestamp(type_=UTCDateTime()), type_=UTCDateTime())


def _parameter(column: Column[Any], prefix: str = "") -> ColumnElement[Any]:
    return bindparam(f"{prefix}{column.name}", type_=column.type)


def room(model: type[Base], amounts: Mapping[str, int]) -> dict[str, int]:
    """Return how large each sum may be so that it can still grow by its amount."""
    kind: Any = model
    most = _largest(kind)
    return {f"{_ROOM}{name}": most[name] - max(amount, 0) for name, amount in amounts.items()}


@cache
def _largest(model: Any) -> dict[str, int]:
    """Return the largest number that each column of numbers holds."""
    kinds: dict[str, Any] = {column.name: column.type for column in table_of(model).c}
    return {n: (1 << (k.bits - 1)) - 1 for n, k in kinds.items() if hasattr(k, "bits")}


async def add_up(
    unit: Unit, model: type[M], statement: Insert, values: Mapping[str, Any], now: datetime | None
) -> M | None:
    """Insert the row of a counter, or change the present one; N concurrent calls are all counted.

    Args:
        unit: The unit.
        model: The table.
        statement: What `counting` has built for it.
        values: The parameters, those of `room` included.
        now: The clock of the stamps; None for that of the unit.

    Returns:
        The row, as the unit's entity; None if its parent does not exist, or a sum has no room.

    Raises:
        InvalidValueError: A column refuses its value.
        ValueOutOfRangeError: A value exceeds its column.
    """
    kind: Any = model
    for name in _required(kind):
        if name in values and values[name] is None:
            raise InvalidValueError("expects a value", table=model.__tablename__, column=name)
    await flush_pending(unit)
    moment = unit.frozen(now) or (None if unit.is_postgresql else utc_now())
    (rows,) = await unit.send((statement, {**values, "now": moment}), last=0)
    return entity_of(unit, model, rows[0]) if rows else None


@cache
def _required(model: Any) -> tuple[str, ...]:
    return tuple(column.name for column in table_of(model).c if not column.nullable)


def sum_exceeds(model: type[Base], names: Iterable[str]) -> ValueOutOfRangeError:
    """Return the error of a counter whose sums have no room."""
    columns: Any = table_of(model).c
    bits = min(columns[name].type.bits for name in names)
    return ValueOutOfRangeError(f"the sum exceeds {bits} bits", table=model.__tablename__)


def check_sum(row: Base, name: str) -> None:
    """Refuse a sum that SQLite has stored beyond the width of its column, or as a float."""
    value, kind = getattr(row, name), getattr(table_of(type(row)).c[name].type, "bits", None)
    if kind is not None and not -(1 << (kind - 1)) <= value < 1 << (kind - 1):
        raise ValueOutOfRangeError(
            f"the sum exceeds {kind} bits", table=type(row).__tablename__, column=name
        )
