"""All that a database knows of its schema, as lines that can be compared."""

from __future__ import annotations

from sqlalchemy import Connection, text

from agentdb.migrate.connections import connected, reading
from agentdb.search_path import mapped_schema
from agentdb.version import VERSION_TABLE

_SQLITE = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name <> 'sqlite_sequence'"
_POSTGRESQL = """
    WITH place AS (
        SELECT oid FROM pg_namespace
        WHERE nspname = coalesce(CAST(:schema AS text), current_schema())
    )
    SELECT 'column', relname, format('%s %s %s %s %s %s %s', attnum, attname,
               format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
               pg_get_expr(adbin, adrelid))
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = (SELECT oid FROM place) AND relkind = 'r' AND attnum > 0
      AND NOT attisdropped
    UNION ALL
    SELECT 'index', relname, format('%s %s', pg_get_indexdef(indexrelid), indisvalid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = (SELECT oid FROM place)
    UNION ALL
    SELECT 'constraint', conname,
           format('%s %s %s', conrelid::regclass, pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE connamespace = (SELECT oid FROM place)
    UNION ALL
    SELECT 'type', typname, string_agg(enumlabel, ', ' ORDER BY enumsortorder)
    FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid
    WHERE typnamespace = (SELECT oid FROM place) GROUP BY typname
    UNION ALL
    SELECT 'sequence', relname, '' FROM pg_class
    WHERE relnamespace = (SELECT oid FROM place) AND relkind = 'S'
"""


def dump(url: str, schema: str | None = None) -> list[tuple[str, ...]]:
    """Return the columns, indexes, constraints, types and sequences of a database, sorted."""
    with connected(url, schema=schema) as connection, reading(connection):
        return dump_on(connection)


def dump_on(connection: Connection) -> list[tuple[str, ...]]:
    """Return the same of the database of a live connection."""
    is_sqlite = connection.dialect.name == "sqlite"
    query = text(_SQLITE if is_sqlite else _POSTGRESQL)
    values = {} if is_sqlite else {"schema": mapped_schema(connection)}
    return sorted(tuple(map(str, row)) for row in connection.execute(query, values))


def versions(url: str, schema: str | None = None) -> list[str]:
    """Return the rows of the version table."""
    with connected(url, schema=schema) as connection, reading(connection):
        place = f'"{schema}".' if schema else ""
        found = connection.exec_driver_sql(f"SELECT version_num FROM {place}{VERSION_TABLE}")
        return list(found.scalars())
