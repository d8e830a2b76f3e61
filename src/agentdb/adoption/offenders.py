"""Rows that a rule of the models would refuse, where the database lacks the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Constraint,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    Table,
    UniqueConstraint,
    cast,
    exists,
    func,
    literal_column,
    not_,
    select,
)

from agentdb.adoption.facts import Offenders, Rows
from agentdb.adoption.reach import Reach
from agentdb.catalog import Kind
from agentdb.catalog.expected import predicate_of
from agentdb.catalog.tokens import tokens_of
from agentdb.models import Base

Rule: TypeAlias = Index | Constraint

_EXAMPLES = 5
_LACKING = {
    Kind.MISSING_CONSTRAINT,
    Kind.CONSTRAINT,
    Kind.FOREIGN_KEY,
    Kind.MISSING_INDEX,
    Kind.INDEX,
}


def offenders(reach: Reach) -> Iterator[Offenders]:
    """Yield the rows that stand against rules which the database lacks or does not enforce."""
    lacking = {(d.table, d.item) for d in reach.differences if d.kind in _LACKING}
    dangling = _dangling(reach)
    for table in Base.metadata.sorted_tables:
        rules: list[Rule] = [*table.indexes, *table.constraints]
        for rule in rules:
            refers = isinstance(rule, ForeignKeyConstraint) and rule.referred_table.name
            if (table.name, rule.name) in lacking or (table.name, refers) in dangling:
                yield from _breaking(reach, table, rule)
    for difference in reach.differences:
        if difference.kind is Kind.NULLABILITY and difference.expected == "NOT NULL":
            yield from _nulls(reach, Base.metadata.tables[difference.table], difference.item)


def _dangling(reach: Reach) -> set[tuple[str, str]]:
    """Return between which tables references lead nowhere, which SQLite allows by default."""
    if reach.ddl.on_postgresql:
        return set()
    rows = reach.connection.exec_driver_sql("PRAGMA foreign_key_check")
    return {(row[0], row[2]) for row in rows}


def _breaking(reach: Reach, table: Table, rule: Rule) -> Iterator[Offenders]:
    name = str(rule.name)
    if isinstance(rule, ForeignKeyConstraint):
        yield from _orphans(reach, table, rule)
    elif isinstance(rule, UniqueConstraint):
        yield from _twins(reach, table, name, list(rule.columns), None)
    elif isinstance(rule, Index) and rule.unique:
        where = predicate_of(rule, reach.connection.dialect)
        yield from _twins(reach, table, name, list(rule.columns), where)
    elif isinstance(rule, CheckConstraint) and _can_ask(reach, table, str(rule.sqltext)):
        condition = not_(literal_column(f"({rule.sqltext})", Boolean()))
        yield from _found(reach, table, name, (), select(*_key(table)).where(condition))


def _twins(
    reach: Reach, table: Table, rule: str, columns: list[Column[Any]], where: str | None
) -> Iterator[Offenders]:
    """Yield the rows that share a key; in unique keys NULL equals nothing."""
    names = [column.name for column in columns]
    if not reach.has(table.name, names) or (where and not _can_ask(reach, table, where)):
        return
    alike = func.count().over(partition_by=columns).label("alike")
    conditions: list[ColumnElement[bool]] = [column.is_not(None) for column in columns]
    if where is not None:
        conditions.append(literal_column(f"({where})", Boolean()))
    rows = select(*_key(table), alike).where(*conditions).subquery()
    shared = select(*[c for c in rows.columns if c.name != "alike"]).where(rows.c.alike > 1)
    yield from _found(reach, table, rule, names, shared)


def _can_ask(reach: Reach, table: Table, condition: str) -> bool:
    """Whether the columns of a condition are there, and of the types that it was written for."""
    words = {token.text for token in tokens_of(condition)}
    named = words & set(table.columns.keys())
    return reach.has(table.name, named, of_our_types=True)


def _orphans(reach: Reach, table: Table, rule: ForeignKeyConstraint) -> Iterator[Offenders]:
    (key,) = rule.elements
    column, parent = key.parent, rule.referred_table.alias()
    referred = key.column.name
    if reach.has(table.name, [column.name], of_our_types=True) and reach.has(
        rule.referred_table.name, [referred], of_our_types=True
    ):
        known = exists().where(parent.columns[referred] == column)
        rows = select(*_key(table)).where(column.is_not(None), ~known)
        yield from _found(reach, table, str(rule.name), [column.name], rows)


def _nulls(reach: Reach, table: Table, column: str) -> Iterator[Offenders]:
    rows = select(*_key(table)).where(table.columns[column].is_(None))
    yield from _found(reach, table, f"{column} NOT NULL", [column], rows)


def _key(table: Table) -> list[ColumnElement[str]]:
    """Return the primary key as text: the columns may be of other types than ours."""
    return [cast(column, String).label(f"key_{column.name}") for column in table.primary_key]


def _found(
    reach: Reach, table: Table, rule: str, columns: Iterable[str], rows: Select[*tuple[Any, ...]]
) -> Iterator[Offenders]:
    found = examples(reach, table.name, rows)
    if found.count:
        yield Offenders(rule, table.name, tuple(columns), found.count, found.examples)


def examples(reach: Reach, table: str, rows: Select[*tuple[Any, ...]]) -> Rows:
    """Return how many rows there are, and the keys of some; none where the key is not there."""
    if not reach.has(table):
        return Rows()
    counted = rows.add_columns(func.count().over()).limit(_EXAMPLES)
    found = reach.connection.execute(counted).all()
    return Rows(found[0][-1] if found else 0, tuple("/".join(map(str, row[:-1])) for row in found))
