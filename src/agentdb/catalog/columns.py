"""Differences of columns.

SQLite changes no column of a table that exists, so for most of them it has no statement:
https://www.sqlite.org/lang_altertable.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Enum

from agentdb.catalog.ddl import Ddl
from agentdb.catalog.difference import Difference, Kind
from agentdb.catalog.facts import ColumnFacts, TableFacts
from agentdb.types import NativeEnum

_LENGTH = re.compile(r"character varying(?:\((\d+)\))?")
_UNBOUNDED = {"character varying", "text"}
_SETS_EXPRESSIONS = 17
"""PostgreSQL from here on changes the expression of a generated column."""


def columns(table: str, wanted: TableFacts, there: TableFacts, ddl: Ddl) -> Iterator[Difference]:
    """Yield the differences of the columns of a table."""
    for name, column in wanted.columns.items():
        if name in there.columns:
            yield from _column(ddl, table, name, column, there.columns[name])
        else:
            yield _missing(ddl, table, name, column)
    for name in sorted(there.columns.keys() - wanted.columns.keys()):
        yield Difference(table, Kind.EXTRA_COLUMN, name, None, _shown(there.columns[name]))


def _missing(ddl: Ddl, table: str, name: str, wanted: ColumnFacts) -> Difference:
    # What the rows that are there should hold in a column that takes no NULL, nobody can guess.
    fits = wanted.nullable
    statements = (ddl.add_column(table, name),) if fits else ()
    return Difference(table, Kind.MISSING_COLUMN, name, _shown(wanted), None, fits, statements)


def _shown(column: ColumnFacts) -> str:
    return column.type + ("" if column.nullable else " NOT NULL")


def _column(
    ddl: Ddl, table: str, name: str, wanted: ColumnFacts, there: ColumnFacts
) -> Iterator[Difference]:
    if wanted.type != there.type:
        yield _type(ddl, table, name, wanted, there)
    if wanted.nullable != there.nullable:
        yield _nullability(ddl, table, name, wanted)
    if wanted.default != there.default:
        yield _default(ddl, table, name, wanted, there)
    if wanted.collation != there.collation:
        yield Difference(
            table, Kind.COLLATION, name, wanted.collation or "default", there.collation or "default"
        )
    if wanted.autoincrement != there.autoincrement:
        shown = {True: "AUTOINCREMENT", False: "numbers that are used again"}
        expected, found = shown[wanted.autoincrement], shown[there.autoincrement]
        yield Difference(table, Kind.AUTOINCREMENT, name, expected, found)
    if wanted.generated != there.generated:
        yield _generated(ddl, table, name, wanted, there)


def _type(ddl: Ddl, table: str, name: str, wanted: ColumnFacts, there: ColumnFacts) -> Difference:
    column = ddl.table(table).columns[name]
    kind, value = ddl.type_of(column), ddl.quoted(name)
    if isinstance(column.type, Enum | NativeEnum):
        # Two enumeration types have only their text in common.
        value = f"CAST({value} AS text)"
    change = f"ALTER COLUMN {ddl.quoted(name)} TYPE {kind} USING CAST({value} AS {kind})"
    statements = (ddl.alter(table, change),) if ddl.on_postgresql else ()
    harmless = widens(wanted.type, there.type)
    return Difference(table, Kind.TYPE, name, wanted.type, there.type, harmless, statements)


def widens(wanted: str, there: str) -> bool:
    """Whether a type of PostgreSQL takes all that another takes, and stores it the same way."""
    wider, narrower = _LENGTH.fullmatch(wanted), _LENGTH.fullmatch(there)
    if wanted in _UNBOUNDED:
        return narrower is not None or there == "text"
    if wider is None or narrower is None or narrower[1] is None:
        return False
    return int(narrower[1]) < int(wider[1])


def _nullability(ddl: Ddl, table: str, name: str, wanted: ColumnFacts) -> Difference:
    words = ("NULL", "NOT NULL")
    expected, found = words if wanted.nullable else words[::-1]
    change = f"ALTER COLUMN {ddl.quoted(name)} {'DROP' if wanted.nullable else 'SET'} NOT NULL"
    statements = (ddl.alter(table, change),) if ddl.on_postgresql else ()
    return Difference(table, Kind.NULLABILITY, name, expected, found, ddl.on_postgresql, statements)


def _default(
    ddl: Ddl, table: str, name: str, wanted: ColumnFacts, there: ColumnFacts
) -> Difference:
    statements: tuple[str, ...] = ()
    if ddl.on_postgresql and wanted.default is None:
        statements = (ddl.alter(table, f"ALTER COLUMN {ddl.quoted(name)} DROP DEFAULT"),)
    elif ddl.on_postgresql and there.default is None:
        statements = _sequence(ddl, table, name)
    # What others write may rely on a default, so that only a person can take it away.
    harmless = wanted.default is not None and bool(statements)
    expected, found = wanted.default or "none", there.default or "none"
    return Difference(table, Kind.DEFAULT, name, expected, found, harmless, statements)


def _sequence(ddl: Ddl, table: str, name: str) -> tuple[str, ...]:
    sequence, column = ddl.qualified(f"{table}_{name}_seq"), ddl.quoted(name)
    highest = f"coalesce(max({column}), 0) + 1"
    literal = "'{}'".format(sequence.replace("'", "''"))
    return (
        f"CREATE SEQUENCE {sequence} OWNED BY {ddl.qualified(table)}.{column}",
        ddl.alter(table, f"ALTER COLUMN {column} SET DEFAULT nextval({literal})"),
        f"SELECT setval({literal}, {highest}, false) FROM {ddl.qualified(table)}",  # noqa: S608 -- quoted
    )


def _generated(
    ddl: Ddl, table: str, name: str, wanted: ColumnFacts, there: ColumnFacts
) -> Difference:
    expected, found = wanted.generated or "stored as given", there.generated or "stored as given"
    computed = ddl.table(table).columns[name].computed
    version = ddl.server_version
    statements: tuple[str, ...] = ()
    if computed is not None and there.generated is not None and version >= _SETS_EXPRESSIONS:
        change = f"ALTER COLUMN {ddl.quoted(name)} SET EXPRESSION AS ({computed.sqltext})"
        statements = (ddl.alter(table, change),)
    harmless = bool(statements)
    return Difference(table, Kind.GENERATED, name, expected, found, harmless, statements)
