"""The differences between what the models say and what a database has."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from agentdb.catalog import postgresql, sqlite
from agentdb.catalog.columns import columns
from agentdb.catalog.ddl import Ddl
from agentdb.catalog.difference import Difference, Kind
from agentdb.catalog.expected import enums_of, schema_of_models, table_with
from agentdb.catalog.facts import SchemaFacts
from agentdb.catalog.rules import rules
from agentdb.migrate.tables import resembles
from agentdb.models import Base
from agentdb.search_path import mapped_schema, schema_map


def differences(connection: Connection, *, schema: str | None = None) -> list[Difference]:
    """Return how the tables of a database differ from the models; empty where they do not.

    It reads in the transaction that the connection is in, and writes nothing: neither a role that
    may only read nor a read-only transaction is in its way. Tables of other names are never looked
    at.

    Args:
        connection: To PostgreSQL or SQLite.
        schema: Schema of the tables, on PostgreSQL; by default the one that the connection
            translates to, else the first of the search path.
    """
    schema = mapped_schema(connection) if schema is None else schema_map(schema)[None]
    expected = schema_of_models(connection.dialect)
    found = read(connection, expected, schema)
    ddl = Ddl(connection.dialect, schema)
    return [*_tables(expected, found, ddl), *_enums(expected, found, ddl)]


def read(connection: Connection, expected: SchemaFacts, schema: str | None) -> SchemaFacts:
    """Return what the database has of the tables that are expected."""
    if connection.dialect.name == "postgresql":
        return postgresql.read(connection, schema, expected.tables, expected.enums)
    return sqlite.read(connection, expected.tables)


def _tables(expected: SchemaFacts, found: SchemaFacts, ddl: Ddl) -> Iterator[Difference]:
    enums = set(found.enums)
    for name, wanted in expected.tables.items():
        there = found.tables.get(name)
        if name in found.others:
            yield Difference(name, Kind.FOREIGN_TABLE, "", "a table", found.others[name])
        elif there is None:
            statements = ddl.create_table(name, enums)
            enums.update(kind.name for kind in enums_of(Base.metadata.tables[name]))
            yield Difference(name, Kind.MISSING_TABLE, "", None, None, True, statements)
        elif not resembles(name, set(there.columns)):
            held = f"a table of {', '.join(there.columns) or 'no column'}"
            yield Difference(name, Kind.FOREIGN_TABLE, "", None, held)
        else:
            yield from columns(name, wanted, there, ddl)
            yield from rules(name, wanted, there, ddl)


def _enums(expected: SchemaFacts, found: SchemaFacts, ddl: Ddl) -> Iterator[Difference]:
    for name, labels in expected.enums.items():
        there = found.enums.get(name, labels)
        if there != labels:
            statements = _added_labels(ddl.qualified(name), labels, there)
            shown = ", ".join(labels), ", ".join(there)
            harmless = bool(statements)
            yield Difference(table_with(name), Kind.ENUM, name, *shown, harmless, statements)


def _added_labels(enum: str, labels: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    """Return what adds the missing labels in their place; nothing where others are in the way.

    Labels can be added, but neither moved nor removed:
    https://www.postgresql.org/docs/current/sql-altertype.html.
    """
    if tuple(label for label in labels if label in there) != there:
        return ()
    return tuple(
        f"ALTER TYPE {enum} ADD VALUE '{label}'"
        + (f" AFTER '{before}'" if before else f" BEFORE '{there[0]}'")
        for before, label in zip((None, *labels), labels, strict=False)
        if label not in there
    )
