"""The catalogs of PostgreSQL, in four queries.

https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, text

from agentdb.catalog import facts
from agentdb.catalog.expressions import canonical
from agentdb.catalog.facts import ColumnFacts, SchemaFacts, TableFacts

# regclass and format_type would leave out the schema or not, as the search path has it; names are
# qualified here where they lie in another schema than the table.
_COLUMNS = text("""
    SELECT c.relname AS "table", c.relkind AS relkind, a.attname AS name,
           NOT a.attnotnull AS nullable,
           CASE WHEN t.typnamespace = CAST('pg_catalog' AS regnamespace)
                THEN format_type(a.atttypid, a.atttypmod)
                WHEN t.typtype = 'e' AND t.typnamespace <> c.relnamespace
                THEN tn.nspname || '.' || t.typname
                ELSE t.typname END AS type,
           CASE WHEN a.attcollation <> t.typcollation THEN co.collname END AS collation,
           a.attidentity AS identity, a.attgenerated AS generated,
           pg_get_expr(d.adbin, d.adrelid) AS expression
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN pg_collation co ON co.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = ANY(:tables)
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname, a.attnum
""")
_CONSTRAINTS = text("""
    SELECT c.relname AS "table", k.conname AS name, k.contype AS kind,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (key, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.key
                 ORDER BY u.place) AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (key, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.key
                 ORDER BY u.place) AS referred,
           CASE WHEN r.relnamespace <> c.relnamespace THEN rn.nspname || '.' ELSE '' END
               || r.relname AS target,
           k.confdeltype AS ondelete, k.confupdtype AS onupdate, k.convalidated AS validated,
           k.condeferrable AS deferrable, k.condeferred AS deferred,
           pg_get_constraintdef(k.oid) AS definition,
           pg_get_expr(k.conbin, k.conrelid) AS condition
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_class r ON r.oid = k.confrelid
    LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
    WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = ANY(:tables)
      AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0
""")
_INDEXES = text("""
    SELECT c.relname AS "table", ic.relname AS name, i.indisunique AS "unique",
           i.indisvalid AND i.indisready AS valid, am.amname AS method,
           pg_get_indexdef(i.indexrelid) AS definition, pg_get_expr(i.indpred, i.indrelid) AS where
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_am am ON am.oid = ic.relam
    WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = ANY(:tables)
      AND NOT EXISTS (SELECT FROM pg_constraint k
                      WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
""")
_ENUMS = text("""
    SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
    FROM pg_type t
    JOIN pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE n.nspname = coalesce(:schema, current_schema()) AND t.typname = ANY(:enums)
    GROUP BY t.typname
""")
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_STORAGE = re.compile(r" WITH \([^)]*\)")


def read(
    connection: Connection, schema: str | None, tables: Collection[str], enums: Collection[str]
) -> SchemaFacts:
    """Return what the schema has of the tables and enumeration types of these names."""
    values = {"schema": schema, "tables": list(tables), "enums": list(enums)}
    found = SchemaFacts()
    for row in connection.execute(_COLUMNS, values):
        _add_column(found, row)
    for row in connection.execute(_CONSTRAINTS, values):
        if row.table in found.tables:
            found.tables[row.table].constraints[row.name] = _constraint(row)
    for row in connection.execute(_INDEXES, values):
        if row.table in found.tables:
            _add_index(found.tables[row.table], row)
    found.enums = {name: tuple(labels) for name, labels in connection.execute(_ENUMS, values)}
    return found


def _add_column(found: SchemaFacts, row: Row[Any]) -> None:
    if row.relkind in _KINDS:
        found.others[row.table] = _KINDS[row.relkind]
        return
    table = found.tables.setdefault(row.table, TableFacts())
    if row.name is not None:
        table.columns[row.name] = _column(row)


def _column(row: Row[Any]) -> ColumnFacts:
    return ColumnFacts(
        type=row.type,
        nullable=row.nullable,
        default=None if row.generated else _default(row),
        collation=row.collation,
        generated=canonical(row.expression) if row.generated else None,
    )


def _default(row: Row[Any]) -> str | None:
    if row.identity:
        kind = "ALWAYS" if row.identity == "a" else "BY DEFAULT"
        return f"GENERATED {kind} AS IDENTITY"
    if row.expression is None:
        return None
    # The name of the sequence is nobody's business.
    return "nextval" if row.expression.startswith("nextval(") else canonical(row.expression)


def _constraint(row: Row[Any]) -> str:
    more = "" if row.validated else " NOT VALID"
    more += " DEFERRABLE" * row.deferrable + " INITIALLY DEFERRED" * row.deferred
    match row.kind:
        case "f":
            return facts.foreign_key(
                row.columns,
                row.target,
                row.referred,
                ondelete=_ACTIONS[row.ondelete],
                onupdate=_ACTIONS[row.onupdate],
                more=more,
            )
        case "c":
            return f"CHECK {canonical(row.condition)}{more}"
        case _:
            return _STORAGE.sub("", row.definition).replace('"', "")


def _add_index(table: TableFacts, row: Row[Any]) -> None:
    keys = row.definition.partition(" USING ")[2].partition(" ")[2]
    keys = _STORAGE.sub("", keys.removesuffix(f" WHERE {row.where}")).replace('"', "")
    where = canonical(row.where) if row.where else None
    table.indexes[row.name] = facts.index(keys, unique=row.unique, method=row.method, where=where)
    if not row.valid:
        table.invalid.add(row.name)
