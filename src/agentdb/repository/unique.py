"""The unique key that an upsert meets: columns, a constraint or a partial index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)

from agentdb.errors import InvalidValueError
from agentdb.orm import Base


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique constraint or index of a table.

    Attributes:
        name: Its name.
        names: Its columns, by attribute.
        columns: Its columns.
        where: The predicate of a partial index; empty for all others.
    """

    name: str
    names: tuple[str, ...]
    columns: tuple[Column[Any], ...]
    where: tuple[ColumnElement[bool], ...]

    @classmethod
    def find(cls, model: type[Base], conflict: str | Sequence[str]) -> Self:
        """Return the key of *model* that *conflict* names, or whose columns it lists.

        Raises:
            InvalidValueError: The table has no such key.
        """
        mapper = inspect(model)
        for name, columns, where in _keys(model):
            names = tuple(mapper.get_property_by_column(c).key for c in columns)
            by_columns = not isinstance(conflict, str) and not where and set(names) == set(conflict)
            if name == conflict or by_columns:
                return cls(name, names, columns, where)
        raise InvalidValueError(f"{model.__tablename__} has no such unique key")

    def resolve(self, insert: Any, chosen: Sequence[str], own: ColumnElement[bool] | None) -> Any:
        """Complete an INSERT of the dialect with what happens where the key is taken.

        Args:
            insert: ``INSERT … VALUES``.
            chosen: Attributes that the present row takes from it; none leaves the row alone.
            own: The condition under which the present row may be changed.
        """
        target: dict[str, Any] = {"index_elements": list(self.columns)}
        if self.where:
            target["index_where"] = self.where[0]
        if not chosen:
            return insert.on_conflict_do_nothing(**target)
        columns = inspect(insert.entity_description["entity"]).columns
        taken = [columns[name] for name in chosen]
        taken += [c for c in columns if c.onupdate is not None and c not in taken]
        changes = {column.name: insert.excluded[column.name] for column in taken}
        return insert.on_conflict_do_update(**target, set_=changes, where=own)


def _keys(
    model: type[Base],
) -> Iterable[tuple[str, tuple[Column[Any], ...], tuple[ColumnElement[bool], ...]]]:
    table: Any = model.__table__
    for constraint in _constraints(table):
        yield str(constraint.name), tuple(constraint.columns), ()
    for index in table.indexes:
        if index.unique:
            yield str(index.name), tuple(index.columns), _predicate(index)


def _constraints(table: Table) -> Iterable[PrimaryKeyConstraint | UniqueConstraint]:
    yield table.primary_key
    yield from (c for c in table.constraints if isinstance(c, UniqueConstraint))


def _predicate(index: Index) -> tuple[ColumnElement[bool], ...]:
    where = index.dialect_options["postgresql"].get("where")
    return () if where is None else (where,)
