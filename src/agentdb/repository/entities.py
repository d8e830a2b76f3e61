"""Entities of rows that a statement of `Unit.send` has answered.

The ORM would make them too, at several times the cost of the statement.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import bindparam, inspect, select
from sqlalchemy.orm import class_mapper
from sqlalchemy.orm.attributes import instance_state, manager_of_class, set_committed_value

from agentdb.direct import Row
from agentdb.orm import Base
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit

M = TypeVar("M", bound=Base)


def entity_of(unit: Unit, model: type[M], row: Row) -> M:
    """Return a row as the unit's entity, brought up to date.

    Changes that were not flushed are overwritten; see `flush_pending`.

    Args:
        unit: The unit whose statement has answered the row.
        model: Its class.
        row: All columns of the table, in their order.
    """
    kind: Any = model
    shape = _shape(kind)
    key = tuple([row[place] for place in shape.places])
    known: Any = unit.loaded(model, key)
    entity: Any = known or shape.manager.new_instance()
    if known is not None:
        for name, value in zip(shape.names, row, strict=True):
            set_committed_value(entity, name, value)
    else:
        state = instance_state(entity)
        state.dict.update(zip(shape.names, row, strict=True))  # becomes what is committed
        # What `make_transient_to_detached` does, which looks for what is not loaded, too.
        state.key = shape.mapper.identity_key_from_primary_key(key)
        unit.adopt(entity)
    found: M = entity
    return found


class _Shape(NamedTuple):
    """How rows of a table become entities.

    Attributes:
        mapper: Of the model.
        manager: Makes an instance.
        names: The attributes of all columns, in their order.
        places: Which of them are the key.
    """

    mapper: Any
    manager: Any
    names: tuple[str, ...]
    places: tuple[int, ...]


@cache
def _shape(model: Any) -> _Shape:
    mapper = class_mapper(model)  # unlike `inspect`, it sets up a model that was never queried
    names = tuple(mapper.get_property_by_column(column).key for column in table_of(model).c)
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    return _Shape(mapper, manager_of_class(model), names, tuple(map(names.index, keys)))


async def flush_pending(unit: Unit) -> None:
    """Write what the host has changed, as the ORM does before it reads."""
    session = unit.unflushed
    if session is not None:
        await session.flush()


async def look_up(
    unit: Unit, model: type[M], name: str, value: object, *, include_deleted: bool
) -> M | None:
    """Return the first row, by key, whose column *name* holds *value*; of all tenants.

    Args:
        unit: A system unit: the statement knows no tenant.
        model: The table.
        name: The column, by attribute.
        value: What it holds.
        include_deleted: Whether deleted rows are seen too.
    """
    await flush_pending(unit)
    kind: Any = model
    statement = _statement(kind, name, include_deleted=include_deleted)
    (rows,) = await unit.send((statement, {"value": value}))
    return entity_of(unit, model, rows[0]) if rows else None


@cache
def _statement(model: Any, name: str, *, include_deleted: bool) -> Any:
    columns = table_of(model).c
    column = inspect(model).get_property(name).columns[0]
    query = select(*columns).where(column == bindparam("value", type_=column.type))
    if not include_deleted and "deleted_at" in columns:
        query = query.where(columns["deleted_at"].is_(None))
    return query.order_by(*table_of(model).primary_key).limit(1)
