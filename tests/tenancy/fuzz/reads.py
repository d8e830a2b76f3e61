"""Random SELECT statements of columns: joins, subqueries, conditions, groups, aggregates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from tests.rows import MODELS, attribute_of, table_of
from tests.tenancy.fuzz.columns import columns_of
from tests.tenancy.fuzz.drawing import Draw

Expression = Any


@dataclass(frozen=True)
class Field:
    """A column as text.

    Attributes:
        expression: The text.
        table: The table that it comes from, and
        column: the column, to compare it with what stands there; both are empty if it is derived.
    """

    expression: Expression
    table: str = ""
    column: str = ""


@dataclass(frozen=True)
class Source:
    """What stands in a FROM.

    Attributes:
        target: What to select from or join.
        fields: Its columns.
    """

    target: Any
    fields: list[Field]


def source_of(target: Any, table: str) -> Source:
    """Return the columns of a class, of an alias of one or of a bare table."""
    owner = target
    fields = [
        Field(cast(_column(owner, column), Text), table, column.name)
        for column in columns_of(table)
    ]
    return Source(target, fields)


def _column(owner: Any, column: Any) -> Any:
    found = getattr(owner, "c", None)
    return found[column.name] if found is not None else getattr(owner, attribute_of(column))


def source(draw: Draw, depth: int, *, other: bool = False) -> Source:
    """Draw what stands in a FROM: mostly a class, sometimes a subquery or a bare table."""
    if depth and draw.chance(0.25):
        inner = chosen(draw, depth - 1, width=2)
        found = inner.subquery() if draw.chance(0.5) else inner.cte()
        return Source(found, [Field(column) for column in found.c])
    table = draw.table(other=other)
    if draw.chance(0.06):
        return source_of(table_of(MODELS[table]), table)
    model = MODELS[table]
    return source_of(aliased(model) if draw.chance(0.4) else model, table)


def expression(draw: Draw, fields: list[Field]) -> Expression:
    """Draw a text from columns."""
    one, other = draw.among(fields).expression, draw.among(fields).expression
    choices: list[Callable[[], Expression]] = [
        lambda: one,
        lambda: one,
        lambda: one,
        lambda: func.coalesce(one, other),
        lambda: one + other,
        lambda: case((one == other, one), else_="-"),
        lambda: cast(func.length(one), Text),
        lambda: func.upper(one),
        lambda: func.substr(one, 1, 4),
    ]
    return draw.among(choices)()


def condition(draw: Draw, fields: list[Field], depth: int) -> Expression:
    """Draw a condition on columns, on values of whatever tenant and on subqueries."""
    kind = draw.rng.random()
    if depth and kind < 0.15:
        parts = [condition(draw, fields, depth - 1) for _ in range(2)]
        return draw.among([and_, or_])(*parts)
    if kind < 0.22:
        return not_(comparison(draw, fields))
    if depth and kind < 0.4:
        return inner_condition(draw, fields, depth - 1)
    return comparison(draw, fields)


def comparison(draw: Draw, fields: list[Field]) -> Expression:
    """Draw a comparison of a column with a value, or with another column."""
    field = draw.among(fields)
    one = field.expression
    if not field.table:
        other = draw.among(fields).expression
        return draw.among([one == other, one != other, one.is_not(None), one > "b"])
    value = draw.value(field.table, field.column)
    more = [draw.value(field.table, field.column) for _ in range(3)]
    choices: list[Callable[[], Expression]] = [
        lambda: one == value,
        lambda: one != value,
        lambda: one.in_([value, *more]),
        lambda: one.not_in(more),
        lambda: one.contains(value[:6], autoescape=True),
        lambda: one.between(value, more[0]),
        lambda: one.is_(None),
        lambda: func.length(one) > len(value) - 1,
        lambda: one == draw.among(fields).expression,
        true,
    ]
    return draw.among(choices)()


def inner_condition(draw: Draw, fields: list[Field], depth: int) -> Expression:
    """Draw EXISTS or IN of a subquery, which may be correlated."""
    found = source(draw, depth, other=True)
    one = draw.among(fields).expression
    other = draw.among(found.fields).expression
    inner = select(other).select_from(found.target)
    if draw.chance(0.6):
        inner = inner.where(condition(draw, found.fields, depth))
    if draw.chance(0.4):
        inner = inner.where(other == one)
    made = [exists(inner), ~exists(inner), one.in_(inner), one.not_in(inner)]
    return draw.among(made)


@dataclass(frozen=True)
class Joined:
    """What a SELECT is from.

    Attributes:
        first: What it begins with.
        joins: What is joined to that, on which condition, and whether as an outer join.
    """

    first: Source
    joins: list[tuple[Source, Expression, bool]]

    @property
    def fields(self) -> list[Field]:
        """All columns."""
        return [
            field for some in (self.first, *(j[0] for j in self.joins)) for field in some.fields
        ]

    def under(self, statement: Any) -> Any:
        """Return a SELECT from all of it."""
        statement = statement.select_from(self.first.target)
        for other, on, outer in self.joins:
            statement = statement.join(other.target, on, isouter=outer)
        return statement


def joined(draw: Draw, depth: int) -> Joined:
    """Draw a FROM with up to two joins."""
    found = Joined(source(draw, depth), [])
    for _ in range(draw.among([0, 0, 1, 1, 2])):
        other = source(draw, 0, other=True)
        on = draw.among(found.fields).expression == draw.among(other.fields).expression
        on = draw.among([on, true(), condition(draw, other.fields, 0)])
        found.joins.append((other, on, draw.chance(0.3)))
    return found


def chosen(draw: Draw, depth: int, width: int | None = None) -> Any:
    """Draw a SELECT of columns, with joins, conditions, groups and aggregates."""
    found = joined(draw, depth)
    fields, count = found.fields, width or draw.among([1, 2, 3])
    conditions = [condition(draw, fields, depth) for _ in range(draw.among([0, 1, 1, 2]))]
    if draw.chance(0.3):
        return _grouped(draw, found, conditions, count)
    columns = [expression(draw, fields).label(f"c{n}") for n in range(count)]
    if depth and draw.chance(0.2):
        columns[0] = _scalar(draw, fields).label("c0")
    statement = found.under(select(*columns)).where(*conditions)
    return statement.distinct() if draw.chance(0.15) else statement


def _grouped(draw: Draw, found: Joined, conditions: list[Expression], count: int) -> Any:
    one, key = (draw.among(found.fields).expression for _ in range(2))
    totals = [func.count(), func.count(one.distinct()), func.sum(func.length(one)), func.min(one)]
    columns = [cast(draw.among(totals), Text).label(f"c{n}") for n in range(count)]
    grouped = draw.chance(0.5)
    if grouped and count > 1:
        columns[0] = key.label("c0")
    statement = found.under(select(*columns)).where(*conditions)
    if not grouped:
        return statement
    statement = statement.group_by(key)
    return statement.having(func.count() > draw.among([0, 1, 2])) if draw.chance(0.5) else statement


def _scalar(draw: Draw, fields: list[Field]) -> Expression:
    found = source(draw, 0, other=True)
    one = draw.among(found.fields).expression
    inner = select(draw.among([func.max(one), func.min(one), cast(func.count(one), Text)]))
    inner = inner.select_from(found.target)
    if draw.chance(0.5):
        inner = inner.where(one == draw.among(fields).expression)
    return func.coalesce(inner.scalar_subquery(), literal("-"))
