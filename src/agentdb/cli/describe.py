"""The tables of this release as data, read from the models; no database is asked."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import CheckConstraint, Column, Dialect, Index, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import UnsupportedCompilationError

from agentdb.models import Base
from agentdb.types import Choice, NativeEnum
from agentdb.types.keys import labels_of

# SQLAlchemy leaves this constructor untyped.
_POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_SQLITE: Dialect = sqlite.dialect()


@dataclass(frozen=True, slots=True)
class Types:
    """The type of a column; None where the database does not have the column."""

    postgresql: str | None
    sqlite: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """What a foreign key refers to, and what a deletion there does here."""

    table: str
    column: str
    on_delete: str | None


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its type on either database.
        labels: The values that it takes, where that is a closed list; else None.
        nullable: Whether it may be NULL.
        primary_key: Whether it is part of the key.
        references: Where its foreign key leads.
    """

    name: str
    type: Types
    labels: list[str] | None
    nullable: bool
    primary_key: bool
    references: Reference | None


@dataclass(frozen=True, slots=True)
class DescribedIndex:
    """An index, or a unique constraint, which both databases keep as one."""

    name: str
    columns: list[str]
    unique: bool
    where: str | None


@dataclass(frozen=True, slots=True)
class DescribedCheck:
    """A condition that each row meets."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table of this release.

    Attributes:
        name: Its name.
        domain: The subpackage of agentdb that has its model.
        model: The class in ``agentdb.models``.
        repository: The attribute of the unit of work.
        tenancy: How its rows belong to tenants.
        summary: What a row is.
        columns: In the order of the table.
        indexes: Unique constraints and indexes, by name.
        checks: By name.
    """

    name: str
    domain: str
    model: str
    repository: str
    tenancy: str
    summary: str
    columns: list[DescribedColumn]
    indexes: list[DescribedIndex]
    checks: list[DescribedCheck]


def described_tables() -> list[DescribedTable]:
    """Return all tables, by domain and name."""
    found = [_table(cast("type[Base]", mapper.class_)) for mapper in Base.registry.mappers]
    return sorted(found, key=attrgetter("domain", "name"))


def _table(model: type[Base]) -> DescribedTable:
    table = cast("Table", model.__table__)
    return DescribedTable(
        name=table.name,
        domain=model.__module__.split(".")[1],
        model=model.__name__,
        repository=table.name,
        tenancy=model.__tenancy__.kind.value,
        summary=(model.__doc__ or "").partition("\n\n")[0].replace("\n    ", " "),
        columns=[_column(column) for column in table.columns],
        indexes=sorted(_indexes(table), key=attrgetter("name")),
        checks=[
            DescribedCheck(str(check.name), str(check.sqltext))
            for check in sorted(table.constraints, key=lambda c: str(c.name))
            if isinstance(check, CheckConstraint)
        ],
    )


def _column(column: Column[Any]) -> DescribedColumn:
    key = next(iter(column.foreign_keys), None)
    return DescribedColumn(
        name=column.name,
        type=Types(_type(column, _POSTGRESQL), _type(column, _SQLITE)),
        labels=_labels(column),
        nullable=bool(column.nullable),
        primary_key=column.primary_key,
        references=None
        if key is None
        else Reference(key.column.table.name, key.column.name, key.ondelete),
    )


def _type(column: Column[Any], dialect: Dialect) -> str | None:
    try:
        return column.type.compile(dialect)
    except UnsupportedCompilationError:
        return None


def _labels(column: Column[Any]) -> list[str] | None:
    match column.type:
        case Choice(labels=labels):
            return list(labels)
        case NativeEnum(members=members):
            return labels_of(members)
        case _:
            return None


def _indexes(table: Table) -> list[DescribedIndex]:
    constraints = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
    unique = [
        DescribedIndex(str(c.name), list(c.columns.keys()), unique=True, where=None)
        for c in constraints
    ]
    return unique + [_index(index) for index in table.indexes]


def _index(index: Index) -> DescribedIndex:
    where = index.dialect_kwargs.get("postgresql_where")
    return DescribedIndex(
        name=str(index.name),
        columns=[column.name for column in index.columns],
        unique=index.unique,
        where=None if where is None else str(where),
    )
