"""The catalog of SQLite: its pragmas as tables, and the statements that it keeps.

https://www.sqlite.org/pragma.html#pragfunc
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text

from agentdb.catalog import facts
from agentdb.catalog.expressions import canonical
from agentdb.catalog.facts import ColumnFacts, SchemaFacts, TableFacts
from agentdb.catalog.sqlite_ddl import Ddl, parse, predicate

_BLANKS = re.compile(r" ?([(),]) ?")
_TABLES = "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view')"
_COLUMNS = """
    SELECT m.name AS "table", x.name AS name, x.type AS type, x."notnull" AS required,
           x.dflt_value AS "default", x.pk AS pk, x.hidden AS hidden
    FROM sqlite_master m, pragma_table_xinfo(m.name) x
    WHERE m.type = 'table' AND m.name IN :tables ORDER BY m.name, x.cid
"""
_FOREIGN_KEYS = """
    SELECT m.name AS "table", f.id AS id, f."table" AS target, f."from" AS "column",
           f."to" AS referred, f.on_delete AS ondelete, f.on_update AS onupdate
    FROM sqlite_master m, pragma_foreign_key_list(m.name) f
    WHERE m.type = 'table' AND m.name IN :tables ORDER BY m.name, f.id, f.seq
"""
_INDEXES = """
    SELECT m.name AS "table", i.name AS name, i."unique" AS "unique", i.origin AS origin,
           x.name AS "column", x."desc" AS descending, x.coll AS collation, s.sql AS sql
    FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x
    LEFT JOIN sqlite_master s ON s.type = 'index' AND s.name = i.name
    WHERE m.type = 'table' AND m.name IN :tables AND x."key" ORDER BY m.name, i.name, x.seqno
"""


def read(connection: Connection, tables: Collection[str]) -> SchemaFacts:
    """Return what the database has of the tables of these names."""
    found = SchemaFacts()
    statements: dict[str, Ddl] = {}
    for name, kind, sql in connection.exec_driver_sql(_TABLES):
        if name in tables and kind == "view":
            found.others[name] = "a view"
        elif name in tables:
            found.tables[name], statements[name] = TableFacts(), parse(sql)
    columns = _rows(connection, _COLUMNS, tables)
    for row in columns:
        ddl = statements[row.table]
        found.tables[row.table].columns[row.name] = _column(row, ddl)
    for name, ddl in statements.items():
        found.tables[name].constraints.update(
            {check: f"CHECK {condition}" for check, condition in ddl.checks.items()}
        )
    _add_primary_keys(found, columns, statements)
    _add_foreign_keys(found, _rows(connection, _FOREIGN_KEYS, tables), statements)
    _add_indexes(found, _rows(connection, _INDEXES, tables), statements)
    return found


def _rows(connection: Connection, query: str, tables: Collection[str]) -> list[Row[Any]]:
    statement = text(query).bindparams(bindparam("tables", expanding=True))
    return list(connection.execute(statement, {"tables": list(tables)}))


def _column(row: Row[Any], ddl: Ddl) -> ColumnFacts:
    is_key = row.type.upper() == "INTEGER" and row.pk
    collation = ddl.collations.get(row.name)
    return ColumnFacts(
        type=_BLANKS.sub(r"\1", " ".join(row.type.upper().split())),
        # The number of a row is never NULL, said or not.
        nullable=not row.required and not is_key,
        default=None if row.default is None else canonical(row.default),
        collation=None if collation == "BINARY" else collation,
        generated=ddl.generated.get(row.name),
        autoincrement=ddl.autoincrement == row.name,
    )


def _name(ddl: Ddl, kind: str, columns: Iterable[str], otherwise: str) -> str:
    return ddl.names.get((kind, tuple(columns)), f" {otherwise}")


def _by(rows: list[Row[Any]], *names: str) -> Iterable[tuple[tuple[Any, ...], list[Row[Any]]]]:
    for key, group in groupby(rows, key=lambda row: tuple(getattr(row, name) for name in names)):
        yield key, list(group)


def _add_primary_keys(found: SchemaFacts, rows: list[Row[Any]], ddl: dict[str, Ddl]) -> None:
    for (table,), group in _by(rows, "table"):
        keys = sorted((row for row in group if row.pk), key=lambda row: row.pk)
        columns = [row.name for row in keys]
        if not columns:
            continue
        rule = facts.primary_key(columns)
        name = _name(ddl[table], "primary", columns, rule)
        # Beside the column that numbers the rows, most have no name for the key.
        if name.startswith(" ") and keys[0].type.upper() == "INTEGER":
            name = f"pk_{table}"
        found.tables[table].constraints[name] = rule


def _add_foreign_keys(found: SchemaFacts, rows: list[Row[Any]], ddl: dict[str, Ddl]) -> None:
    for (table, _), group in _by(rows, "table", "id"):
        columns = [row.column for row in group]
        rule = facts.foreign_key(
            columns,
            group[0].target,
            [row.referred or "its key" for row in group],
            ondelete=group[0].ondelete,
            onupdate=group[0].onupdate,
        )
        found.tables[table].constraints[_name(ddl[table], "foreign", columns, rule)] = rule


def _add_indexes(found: SchemaFacts, rows: list[Row[Any]], ddl: dict[str, Ddl]) -> None:
    for (name, index), group in _by(rows, "table", "name"):
        table = found.tables[name]
        columns = [row.column for row in group]
        if group[0].origin == "u":
            rule = facts.unique(columns)
            table.constraints[_name(ddl[name], "unique", columns, rule)] = rule
        elif group[0].origin == "c":
            table.indexes[index] = facts.index(
                facts.keys(_key(row, table) for row in group),
                unique=bool(group[0].unique),
                where=predicate(group[0].sql),
            )


def _key(row: Row[Any], table: TableFacts) -> str:
    """Return a column of an index, with what its column does not say."""
    if row.column is None:
        return "an expression"
    column = table.columns.get(row.column)
    usual = (column.collation if column else None) or "BINARY"
    collation = "" if row.collation.upper() == usual else f" COLLATE {row.collation}"
    return f"{row.column}{collation}{' DESC' if row.descending else ''}"
