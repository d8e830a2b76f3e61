"""What the strict types share: a check before SQL that names the table and the column."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from types import NoneType
from typing import Any, TypeGuard, TypeVar

from sqlalchemy import Column, event
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

from agentdb.errors import InvalidValueError

T = TypeVar("T")


def are_of(values: Sequence[object], *kinds: type[object]) -> bool:
    """Return whether each value is of one of the types themselves, not of a subclass."""
    return set(map(type, values)).issubset(kinds)


def is_storable(text: str) -> bool:
    """Return whether both databases keep a text: it has neither a NUL nor a lone surrogate."""
    if "\x00" in text:
        return False
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return False
    return True


class StrictType(TypeDecorator[T]):
    """A type that refuses in Python what one of the databases would refuse or change.

    PostgreSQL and SQLite disagree on about a quarter of all bad values: one raises, the other
    stores something else. Checked here, in every path that binds a parameter (ORM, Core, bulk), the
    value meets the same error on both, and meets it before any SQL is sent.

    Each column has a copy of its own, so that the error names it.
    """

    cache_ok = True
    column: Column[Any] | None = None

    @abstractmethod
    def check(self, value: object) -> T:
        """Return *value* as the column stores it, or raise an InvalidValueError."""

    def check_all(self, values: Sequence[object]) -> Sequence[T | None]:
        """Return the values of a column for several rows, None as it is; errors as of `check`.

        A type that can tell at once that all are sound looks at each only where they are not.
        """
        if len(values) > 1 and self.are_sound(values):
            return values
        return [None if value is None else self.check(value) for value in values]

    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[T | None]]:
        """Return whether the column surely stores all *values* as they are; False tells nothing."""
        return are_of(values, NoneType)

    def filtering(self) -> TypeEngine[Any]:
        """Return the type of a value that the column is compared with."""
        return self

    @override
    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:
        return None if value is None else self.check(value)

    @override
    def process_literal_param(self, value: T | None, dialect: Dialect) -> Any:
        return self.process_bind_param(value, dialect)

    @override
    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        return self.filtering()

    @property
    def place(self) -> dict[str, str | None]:
        """The table and the column, as the errors take them."""
        if self.column is None:
            return {"table": None, "column": None}
        table = getattr(self.column, "table", None)
        return {"table": None if table is None else table.name, "column": self.column.name}

    def expected(self, what: str) -> InvalidValueError:
        """Return the error for a value of another type."""
        return InvalidValueError(f"expects {what}", **self.place)


@event.listens_for(StrictType, "after_parent_attach", propagate=True)
def _remember_column(target: StrictType[Any], parent: object) -> None:
    if isinstance(parent, Column):
        target.column = parent
