"""What the tables are: as expected, as the models say, and as the two databases have them.

Alembic's comparison is blind to predicates of indexes, generated expressions and the order of
enumeration labels; here the catalogs are read.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Enum,
    ForeignKeyConstraint,
    Index,
    Table,
    UniqueConstraint,
    inspect,
    text,
)

from agentdb.models import Base
from agentdb.types import Choice, NativeEnum

POSTGRESQL_TYPES = {
    "BigInteger": "bigint",
    "Boolean": "boolean",
    "CITEXTCompat": "citext",
    "Date": "date",
    "Integer": "integer",
    "JSONBCompat": "jsonb",
    "JSONCompat": "json",
    "LargeBinary": "bytea",
    "RowId": "bigint",
    "String": "character varying",
    "TSVECTOR": "tsvector",
    "Text": "text",
    "UTCDateTime": "timestamp with time zone",
    "Uuid": "uuid",
}
SQLITE_TYPES = {
    "BigInteger": "BIGINT",
    "Boolean": "BOOLEAN",
    "CITEXTCompat": "VARCHAR(255) COLLATE NOCASE",
    "Date": "DATE",
    "Integer": "INTEGER",
    "JSONBCompat": "JSON",
    "JSONCompat": "JSON",
    "LargeBinary": "BLOB",
    "RowId": "INTEGER",
    "String": "VARCHAR",
    "Text": "TEXT",
    "UTCDateTime": "DATETIME",
    "Uuid": "CHAR(32)",
}
ONLY_ON_POSTGRESQL = {"text_tsv"}


@dataclass
class TableFacts:
    """One table; keys are names, so that a difference shows where it is.

    Attributes:
        columns: Type and nullability, in the order of the table.
        primary_key: Its name and columns.
        foreign_keys: Column, target and delete rule.
        uniques: Columns.
        indexes: Columns, uniqueness, predicate and method.
        checks: Condition.
        generated: Expression.
    """

    columns: list[tuple[str, str, bool]]
    primary_key: tuple[str, list[str]]
    foreign_keys: dict[str, tuple[str, str, str]]
    uniques: dict[str, list[str]]
    indexes: dict[str, tuple[list[str], bool, str | None, str]]
    checks: dict[str, str] = field(default_factory=dict[str, str])
    generated: dict[str, str] = field(default_factory=dict[str, str])


@cache
def expected_schema() -> dict[str, Any]:
    """Return the schema as written down beside this file."""
    schema: dict[str, Any] = json.loads(
        Path(__file__).with_name("expected_schema.json").read_text(encoding="utf-8")
    )
    return schema


def enum_labels() -> dict[str, list[str]]:
    """Return the labels of the enumeration types, in order."""
    labels: dict[str, list[str]] = expected_schema()["enums"]
    return labels


def expected_table(
    name: str,
    *,
    render: Callable[[str], str] = str,
    canonical: Callable[[str, str], str] = lambda _kind, sql: sql,
    dialect: str = "postgresql",
) -> TableFacts:
    """Return the expected facts of a table as a database shows them.

    Args:
        name: The table.
        render: Turns the name of a type into the database's.
        canonical: Turns an SQL expression of a kind (where, check, generated) into the form in
            which the database gives it back.
        dialect: The database.
    """
    table = expected_schema()["tables"][name]
    absent: set[str] = ONLY_ON_POSTGRESQL if dialect == "sqlite" else set()
    return TableFacts(
        columns=[
            (column, render(facts["type"]), facts["nullable"])
            for column, facts in table["columns"].items()
            if column not in absent
        ],
        primary_key=(table["primary_key"]["name"], table["primary_key"]["columns"]),
        foreign_keys={
            key["name"]: (key["column"], key["references"], key["ondelete"])
            for key in table["foreign_keys"]
        },
        uniques={unique["name"]: unique["columns"] for unique in table["uniques"]},
        indexes={
            index["name"]: (
                index["columns"],
                index["unique"],
                canonical("where", index["where"]) if "where" in index else None,
                index.get("method", "btree"),
            )
            for index in table["indexes"]
            if index.get("only", dialect) == dialect
        },
        checks={check["name"]: canonical("check", check["condition"]) for check in table["checks"]},
        generated={
            column: canonical("generated", expression)
            for column, expression in table["generated"].items()
            if column not in absent
        },
    )


def render_postgresql(kind: str) -> str:
    """Return the type as ``format_type`` spells it."""
    name, length = _split(kind)
    if name == "Enum":
        return length
    return POSTGRESQL_TYPES[name] + (f"({length})" if length else "")


def render_sqlite(kind: str) -> str:
    """Return the type and collation as the table's DDL spells them."""
    name, length = _split(kind)
    if name == "Enum":
        return f"VARCHAR({max(map(len, enum_labels()[length]))})"
    return SQLITE_TYPES[name] + (f"({length})" if length else "")


def _split(kind: str) -> tuple[str, str]:
    name, _, argument = kind.partition("(")
    return name, argument.rstrip(")")


def table_of_models(name: str) -> TableFacts:
    """Return the facts of a mapped table."""
    table = Base.metadata.tables[name]
    facts = TableFacts(
        columns=[(c.name, _type_of(c), bool(c.nullable)) for c in table.columns],
        primary_key=(str(table.primary_key.name), table.primary_key.columns.keys()),
        foreign_keys={},
        uniques={},
        indexes={str(i.name): _index_of_models(i) for i in table.indexes},
        generated={
            c.name: str(c.computed.sqltext)
            for c in table.columns
            if isinstance(c.computed, Computed)
        },
    )
    _add_constraints(table, facts)
    return facts


def _add_constraints(table: Table, facts: TableFacts) -> None:
    for constraint in table.constraints:
        name = str(constraint.name)
        if isinstance(constraint, ForeignKeyConstraint):
            (key,) = constraint.elements
            facts.foreign_keys[name] = (key.parent.name, key.target_fullname, str(key.ondelete))
        elif isinstance(constraint, UniqueConstraint):
            facts.uniques[name] = constraint.columns.keys()
        elif isinstance(constraint, CheckConstraint):
            facts.checks[name] = str(constraint.sqltext)


def _type_of(column: Column[Any]) -> str:
    kind: Any = column.type
    if isinstance(kind, NativeEnum):
        assert isinstance(kind.impl_instance, Enum)
        assert kind.impl_instance.enums == enum_labels()[kind.name]
        return f"Enum({kind.name})"
    name = "String" if isinstance(kind, Choice) else type(kind).__name__
    return f"String({kind.length})" if name == "String" and kind.length else name


def _index_of_models(index: Index) -> tuple[list[str], bool, str | None, str]:
    postgresql, sqlite = index.dialect_options["postgresql"], index.dialect_options["sqlite"]
    where = None if postgresql["where"] is None else str(postgresql["where"])
    assert where == (None if sqlite["where"] is None else str(sqlite["where"]))
    return index.columns.keys(), bool(index.unique), where, postgresql["using"] or "btree"


def table_of_sqlite(connection: Connection, name: str) -> TableFacts:
    """Return the facts of a table in a SQLite file."""
    ddl = str(connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = :n"), {"n": name}))
    rows = connection.exec_driver_sql(f"PRAGMA table_xinfo({name})").mappings()
    return TableFacts(
        columns=[
            (row["name"], row["type"] + _collation(ddl, row["name"]), not row["notnull"])
            for row in rows
        ],
        indexes={
            index: _index_of_sqlite(sql)
            for index, sql in connection.execute(
                text(
                    "SELECT name, sql FROM sqlite_master"
                    " WHERE type = 'index' AND tbl_name = :n AND sql IS NOT NULL"
                ),
                {"n": name},
            )
        },
        **_constraints(connection, name),
        checks=dict(re.findall(r"CONSTRAINT (ck_\w+) CHECK \((.*)\)", ddl)),
    )


def _collation(ddl: str, column: str) -> str:
    found = re.search(rf'^\s*"?{column}"? .*( COLLATE )"?(\w+)"?', ddl, re.MULTILINE)
    return found[1] + found[2] if found else ""


def _index_of_sqlite(ddl: str) -> tuple[list[str], bool, str | None, str]:
    found = re.fullmatch(r"CREATE (UNIQUE )?INDEX \w+ ON \w+ \(([^)]*)\)(?: WHERE (.*))?", ddl)
    assert found, ddl
    return found[2].replace('"', "").split(", "), bool(found[1]), found[3], "btree"


def _constraints(connection: Connection, table: str) -> dict[str, Any]:
    inspector = inspect(connection)
    primary_key = inspector.get_pk_constraint(table)
    return {
        # SQLite has no place for the name of a key that numbers its rows.
        "primary_key": (
            primary_key["name"] or f"pk_{table}",
            primary_key["constrained_columns"],
        ),
        "foreign_keys": {
            key["name"]: (
                key["constrained_columns"][0],
                f"{key['referred_table']}.{key['referred_columns'][0]}",
                key.get("options", {}).get("ondelete"),
            )
            for key in inspector.get_foreign_keys(table)
        },
        "uniques": {
            unique["name"]: unique["column_names"]
            for unique in inspector.get_unique_constraints(table)
        },
    }


def table_of_postgresql(connection: Connection, name: str) -> TableFacts:
    """Return the facts of a table in a PostgreSQL database, from its catalogs."""
    parameters = {"n": name}
    return TableFacts(
        columns=[
            (column, kind, nullable)
            for column, kind, nullable in connection.execute(text(PG_COLUMNS), parameters)
        ],
        indexes={
            index: (columns, unique, where, method)
            for index, columns, unique, where, method in connection.execute(
                text(PG_INDEXES), parameters
            )
        },
        **_constraints(connection, name),
        checks=_pairs(connection, PG_CHECKS, parameters),
        generated=_pairs(connection, PG_GENERATED, parameters),
    )


def _pairs(connection: Connection, query: str, parameters: dict[str, str]) -> dict[str, Any]:
    return {row[0]: row[1] for row in connection.execute(text(query), parameters)}


PG_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
    WHERE attrelid = CAST(:n AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
PG_INDEXES = """
    SELECT index.relname,
           ARRAY(SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
                 JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place),
           indisunique, pg_get_expr(indpred, indrelid), amname
    FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    JOIN pg_am ON pg_am.oid = index.relam
    WHERE indrelid = CAST(:n AS regclass) AND indisvalid
      AND NOT EXISTS (
          SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u')
      )
"""
PG_CHECKS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = CAST(:n AS regclass) AND contype = 'c'
"""
PG_GENERATED = """
    SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attribute
    JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = CAST(:n AS regclass) AND attgenerated = 's'
"""
PG_ENUMS = """
    SELECT typname, array_agg(enumlabel::text ORDER BY enumsortorder)
    FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid GROUP BY typname
"""


def enums_of_postgresql(connection: Connection) -> dict[str, list[str]]:
    """Return the enumeration types of a database, labels in order."""
    return _pairs(connection, PG_ENUMS, {})


def canonical_on_postgresql(connection: Connection, table: str) -> Callable[[str, str], str]:
    """Return a function that gives an expression the form in which PostgreSQL prints it.

    The server itself does it, on a temporary table of the same columns: no second opinion on how it
    adds casts and parentheses is needed.
    """

    def canonical(kind: str, sql: str) -> str:
        with connection.begin_nested() as savepoint:
            connection.exec_driver_sql(f"CREATE TEMPORARY TABLE probe (LIKE {table})")
            connection.execute(text(PROBES[kind][0].format(sql)))
            printed = connection.scalar(text(PROBES[kind][1]))
            savepoint.rollback()
        return str(printed)

    return canonical


PROBES = {
    "where": (
        "CREATE INDEX probe_where ON probe ((1)) WHERE {}",
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indrelid = 'probe'::regclass",
    ),
    "check": (
        "ALTER TABLE probe ADD CONSTRAINT probe_check CHECK ({})",
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'probe_check'",
    ),
    "generated": (
        "ALTER TABLE probe ADD COLUMN probed tsvector GENERATED ALWAYS AS ({}) STORED",
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'probe'::regclass",
    ),
}
