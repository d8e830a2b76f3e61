"""A row under way: what is known of it before it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from agentdb.canonical import canonical_email
from agentdb.orm import Base
from agentdb.tenants.models import TenantAccount
from agentdb.testing.factories.columns import needs_value, usual
from agentdb.testing.factories.references import (
    as_held,
    columns,
    key_in,
    models_by_table,
    parameters,
    references,
)
from agentdb.types import CITEXTCompat

M = TypeVar("M", bound=Base)


class Makes(Protocol):
    """What the rules of a table need to make other rows."""

    @property
    def tenant(self) -> TenantAccount:
        """The tenant whose rows are made where nothing is said."""
        ...

    def make(self, model: type[M], /, **values: object) -> M:
        """Store a row of *model*, with the parents that it needs."""
        ...


@dataclass
class Draft:
    """A row under way.

    Attributes:
        maker: Makes the rows that it needs.
        session: Where it will be stored.
        model: Its model.
        number: Counts the rows of its table, from 1.
        label: What its unique values are made from.
        clock: Draws the instant at which it is made.
        tenant: Whose it is; None where it is nobody's.
        values: Its columns by attribute, so far.
        parents: The rows that it was told to refer to, by attribute.
        held: The rows that were locked for it, some to be changed.
    """

    maker: Makes
    session: Session
    model: type[Base]
    number: int
    label: str
    clock: Callable[[], datetime]
    tenant: UUID | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    parents: dict[str, Base] = field(default_factory=dict[str, Base])
    held: list[Base] = field(default_factory=list[Base])

    @cached_property
    def at(self) -> datetime:
        """The instant at which it is made: after its parents, if it is asked for after them."""
        return self.clock()

    def has(self, attribute: str) -> bool:
        """Tell whether the row says what a column holds, NULL apart."""
        return self.values.get(attribute) is not None

    def default(self, attribute: str, value: object) -> Any:
        """Set a column that nothing is said of, and return what it holds."""
        return self.values.setdefault(attribute, value)

    def lock(self, model: type[M], key: object) -> M:
        """Return a row as it is now, locked as the verbs lock it."""
        column = inspect(model).primary_key[0]
        query = select(model).where(column == key).with_for_update(key_share=True)
        row = self.session.scalars(query.execution_options(populate_existing=True)).one()
        self.held.append(row)
        return row

    def take(self, given: dict[str, object]) -> None:
        """Take what the caller says.

        Raises:
            TypeError: A name stands for nothing, is given twice, or refers to a row of another
                table.
            InvalidValueError: An e-mail address is none.
        """
        names = parameters(self.model)
        for name, value in given.items():
            if name not in names:
                raise TypeError(_unknown(self.model, name, names))
            attribute = names[name]
            if attribute in self.values:
                raise TypeError(f"{self.model.__name__}: {name} is given twice")
            self.values[attribute] = self._held(attribute, value)

    def _held(self, attribute: str, value: object) -> object:
        if attribute in references(self.model):
            return self._key(attribute, value)
        if attribute not in columns(self.model):
            return value.id if isinstance(value, TenantAccount) else value
        is_email = isinstance(columns(self.model)[attribute].type, CITEXTCompat)
        if is_email and isinstance(value, str):
            return canonical_email(value)
        return value

    def _key(self, attribute: str, value: object) -> object:
        column, target = references(self.model)[attribute]
        if not isinstance(value, Base):
            return as_held(column, value)
        expected = models_by_table()[target.table]
        if not isinstance(value, expected):
            wanted = f"{self.model.__name__}.{attribute} refers to {expected.__name__}"
            raise TypeError(f"{wanted}, not to {type(value).__name__}")
        self.parents[attribute] = value
        return key_in(column, value, target)

    def row(self) -> Base:
        """Return the row, every column that needs a value filled."""
        for attribute, column in columns(self.model).items():
            if attribute not in self.values and needs_value(column):
                self.values[attribute] = usual(column, self.label, self.at)
        return new_row(self.model, self.values)


def new_row(model: type[M], values: dict[str, Any]) -> M:
    """Return a row with *values*, those included that its constructor does not take."""
    build: Any = model
    taken = {known.name for known in fields(build) if known.init}
    row: M = build(**{name: value for name, value in values.items() if name in taken})
    for name in values.keys() - taken:
        setattr(row, name, values[name])
    return row


def _unknown(model: type[Base], name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=1)
    hint = f"; is it {near[0]}?" if near else ""
    return f"{model.__name__} has no {name}{hint}"
