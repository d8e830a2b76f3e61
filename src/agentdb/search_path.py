"""The schema of a PostgreSQL database that the tables lie in, and how statements come to mean it.

SQLAlchemy writes the schema before each of our tables and types (``schema_translate_map``), so that
a table missing there is an error, and never the table of the same name in another schema. What no
statement can name in full are the operators of the extension citext: they are found by the search
path alone, wherever the extension lies, and without them text would be compared with its case.
"""

from __future__ import annotations

from sqlalchemy import URL, Connection
from sqlalchemy.sql.elements import quoted_name

from agentdb.errors import ConfigurationError

MAP_OPTION = "schema_translate_map"

SchemaMap = dict[str | None, str | None]

# Asked in each transaction, for 20 µs: the extension may be installed or moved at any time. A cast
# of regnamespace to text quotes the name where it must be.
_CITEXT = "(SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext')"
_NAME_BYTES = 63
"""Bytes of a name that PostgreSQL does not cut:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS."""


def check_schema(url: URL, schema: str | None) -> None:
    """Refuse a schema that the database of *url* cannot have.

    Raises:
        ConfigurationError: The database is SQLite, or the name is empty, longer than 63 bytes, not
            text of PostgreSQL, or kept by PostgreSQL for itself. Any other name works, quoted.
    """
    if schema is None:
        return
    if url.get_backend_name() != "postgresql":
        raise ConfigurationError("SQLite has no schemas: use one file for each")
    if refusal := _refusal(schema):
        raise ConfigurationError(f"the name of a schema {refusal}")


def _refusal(schema: str) -> str | None:
    if not schema or "\x00" in schema:
        return "may neither be empty nor contain NUL"
    try:
        size = len(schema.encode("utf-8"))
    except UnicodeEncodeError:
        return "may not contain a lone surrogate"
    if size > _NAME_BYTES:
        return f"has at most {_NAME_BYTES} bytes, not {size}"
    # In a search path $user means another schema, even in quotes.
    if schema.startswith("pg_") or schema in {"information_schema", "$user"}:
        return "may not be one that PostgreSQL keeps for itself"
    # SQLAlchemy's own mark for a schema, which it would replace again in some statements.
    return "may not contain __[SCHEMA_" if "__[SCHEMA_" in schema else None


def schema_map(schema: str) -> SchemaMap:
    """Return what SQLAlchemy is told, so that tables without a schema mean those of *schema*.

    Always quoted: some words that need no quotes before a table need them before a type.
    """
    return {None: quoted_name(schema, quote=True)}


def mapped_schema(connection: Connection) -> str | None:
    """Return the schema that tables without one mean on *connection*; None for the search path."""
    found: SchemaMap = connection.get_execution_options().get(MAP_OPTION) or {}
    return found.get(None)


def require_mapped(connection: Connection, schema: str) -> None:
    """Refuse a connection on which our tables would mean those of another schema.

    Raises:
        ConfigurationError: Its options have another ``schema_translate_map``.
    """
    if mapped_schema(connection) != schema:
        raise ConfigurationError(
            f"the connection replaced {MAP_OPTION}, which leads to the schema of agentdb"
        )


def set_own_path(schema: str) -> str:
    """Return the call that sets the search path of a transaction on an engine of ours.

    Before citext is installed, it is searched in ``public``, where the migrations put it.
    """
    return _set_path(literal(quoted(schema)), f"coalesce({_CITEXT}, 'public')")


def extend_path() -> str:
    """Return the call that adds citext to the search path of a transaction of the host."""
    return _set_path("nullif(current_setting('search_path'), '')", _CITEXT)


def _set_path(first: str, last: str) -> str:
    return f"set_config('search_path', concat_ws(', ', {first}, {last}), true)"


def quoted(name: str) -> str:
    """Return a name as an identifier that means it whatever stands in it."""
    return '"{}"'.format(name.replace('"', '""'))


def prefix(schema: str | None) -> str:
    """Return what stands before the name of a table of *schema*; nothing for the search path."""
    return "" if schema is None else f"{quoted(schema)}."


def literal(text: str) -> str:
    """Return *text* as a literal that means the same under any ``standard_conforming_strings``."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
