"""What stands on a factory for each table."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from agentdb.orm import Base
from agentdb.testing.factories.builder import Builder

M = TypeVar("M", bound=Base)


class Maker(Generic[M]):
    """Makes rows of one table: call it."""

    def __init__(self, builder: Builder, model: type[M]) -> None:
        self._builder = builder
        self.model = model

    def __call__(self, **values: object) -> M:
        """Store a row, with the parents that it needs, and return it.

        Args:
            values: Columns by attribute; a reference takes the row or its key, under the name of
                its column with or without ``_id``.

        Raises:
            TypeError: A name stands for nothing, or a reference is a row of another table.
            TenantMismatchError: It would refer to rows of several tenants.
            AgentDBError: The database refuses the row; nothing is stored.
        """
        return self._builder.make(self.model, **values)

    def many(self, count: int, /, **values: object) -> list[M]:
        """Store *count* rows alike, in one transaction; errors as of a call."""
        with self._builder.transaction():
            return [self(**values) for _ in range(count)]


class Of(Generic[M]):
    """Declares the maker of a table on a factory."""

    def __init__(self, model: type[M]) -> None:
        self.model = model

    @overload
    def __get__(self, factory: None, owner: type[Any]) -> Of[M]: ...

    @overload
    def __get__(self, factory: Builder, owner: type[Any]) -> Maker[M]: ...

    def __get__(self, factory: Builder | None, owner: type[Any]) -> Of[M] | Maker[M]:
        return self if factory is None else Maker(factory, self.model)
