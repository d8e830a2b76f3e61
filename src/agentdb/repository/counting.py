"""Adding to a counter that may not exist yet, in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.errors import ValueOutOfRangeError
from agentdb.orm import Base
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy import CONFINED, Write
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit

M = TypeVar("M", bound=Base)


async def add_up(
    unit: Unit,
    model: type[M],
    values: Mapping[str, Any],
    conflict: UniqueKey,
    changes: Mapping[str, ColumnElement[Any]],
) -> M:
    """Insert the row of a counter, or change the present one; N concurrent calls are all counted.

    Args:
        unit: The unit.
        model: The table.
        values: The row as it begins, by attribute; its key names its owner, or its parent does.
        conflict: The unique key that the row is known by.
        changes: Columns of a present row and what they become, in terms of the table's columns.

    Raises:
        NotFoundError: A reference leads nowhere.
        InvalidValueError: A column refuses its value.
        ValueOutOfRangeError: A sum exceeds its column; nothing is added.
    """
    dialect = postgresql if unit.is_postgresql else sqlite
    target: dict[str, Any] = {"index_elements": list(conflict.columns)}
    if conflict.where:
        target["index_where"] = conflict.where[0]
    statement = dialect.insert(model).values(**values)
    counted: Any = statement.on_conflict_do_update(**target, set_=changes).returning(model)
    options = {CONFINED: True, "synchronize_session": False, "populate_existing": True}
    async with unit.savepoint():
        await unit.check(Write(model, dict(values)))
        row: M = (await unit.session.execute(counted, execution_options=options)).scalar_one()
        for name in changes:
            check_sum(row, name)
    return row


def check_sum(row: Base, name: str) -> None:
    """Refuse a sum that SQLite has stored beyond the width of its column, or as a float."""
    value, kind = getattr(row, name), getattr(table_of(type(row)).c[name].type, "bits", None)
    if kind is not None and not -(1 << (kind - 1)) <= value < 1 << (kind - 1):
        raise ValueOutOfRangeError(
            f"the sum exceeds {kind} bits", table=type(row).__tablename__, column=name
        )
