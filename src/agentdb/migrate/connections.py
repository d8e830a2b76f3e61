"""The connection that a migration runs on, and the schema that it works in."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import URL, Connection, String, column, event, inspect, select, table, text

from agentdb.driver_errors import READ_ONLY_OPTION
from agentdb.engines import make_sync_engine
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.migrate.limits import Limits
from agentdb.settings import Settings
from agentdb.version import VERSION_TABLE

Target: TypeAlias = str | URL | Connection

# Seconds of one attempt of SQLite to get the lock; between attempts the waiting is told.
_SQLITE_PATIENCE = 1.0

_SETTINGS = text("""
    SELECT set_config('lock_timeout', :lock_timeout, true),
           set_config('statement_timeout', :statement_timeout, true),
           set_config('idle_in_transaction_session_timeout', '0', true)
""")
_PATH = text("SELECT current_setting('search_path')")
# Operators of citext are found by the search path alone, wherever the extension was put.
_SEARCH_PATH = text("""
    SELECT set_config('search_path', format('%I, %I', CAST(:schema AS text), coalesce(
        (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
         WHERE extname = 'citext'), 'public')), true)
""")


@contextmanager
def connected(target: Target, *, schema: str | None = None) -> Generator[Connection]:
    """Yield a connection to *target* that works in *schema*.

    Raises:
        ConfigurationError: The database has no schemas.
        UnavailableError: It cannot be reached.
    """
    if isinstance(target, Connection):
        yield in_schema(target, schema)
        return
    settings = Settings(statement_timeout=None, busy_timeout=_SQLITE_PATIENCE)
    with make_sync_engine(target, settings).connect() as connection:
        yield in_schema(connection, schema)


def in_schema(connection: Connection, schema: str | None) -> Connection:
    """Make the statements on *connection* mean the tables of *schema*.

    Raises:
        ConfigurationError: The database has no schemas.
    """
    if schema is None:
        return connection
    if connection.dialect.name != "postgresql":
        raise ConfigurationError("SQLite has no schemas: use one file for each")
    return connection.execution_options(schema_translate_map={None: schema})


def schema_of(connection: Connection) -> str | None:
    """Return the schema that the connection works in; None for the one of the search path."""
    options: Mapping[str, Any] = connection.get_execution_options()
    translated: Mapping[str | None, str | None] = options.get("schema_translate_map") or {}
    return translated.get(None)


@contextmanager
def reading(connection: Connection) -> Generator[None]:
    """Read in the transaction that the connection is in, else in one that waits for nobody."""
    if connection.in_transaction():
        yield
        return
    connection.execution_options(**{READ_ONLY_OPTION: True})
    try:
        with connection.begin():
            yield
    finally:
        connection.execution_options(**{READ_ONLY_OPTION: False})
        if connection.dialect.name == "sqlite":
            pragma(connection, "query_only = OFF")


def pragma(connection: Connection, setting: str) -> None:
    """Set something of SQLite outside of any transaction."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def revision_at(connection: Connection) -> str | None:
    """Return the revision that the database is at; None for one that has none.

    Raises:
        SchemaVersionError: It has several, which no release of ours writes.
    """
    version = table(VERSION_TABLE, column("version_num", String))
    with reading(connection):
        if not inspect(connection).has_table(VERSION_TABLE, schema=schema_of(connection)):
            return None
        found = connection.execute(select(version.c.version_num)).scalars().all()
    if len(found) > 1:
        raise SchemaVersionError(f"{VERSION_TABLE} holds several revisions: {', '.join(found)}")
    return found[0] if found else None


@contextmanager
def limited(connection: Connection, limits: Limits) -> Generator[None]:
    """Give each transaction on *connection* the limits, and the search path of its schema."""
    if connection.dialect.name != "postgresql":
        yield
        return

    def begin(begun: Connection) -> None:
        begun.execute(
            _SETTINGS,
            {
                "lock_timeout": milliseconds(limits.lock_timeout),
                "statement_timeout": milliseconds(limits.statement_timeout),
            },
        )
        if schema := schema_of(begun):
            search_in(begun, schema)

    event.listen(connection, "begin", begin)
    try:
        yield
    finally:
        event.remove(connection, "begin", begin)


def search_in(connection: Connection, schema: str) -> str:
    """Search *schema* first until the transaction ends; return the search path before."""
    before: str = connection.execute(_PATH).scalar_one()
    connection.execute(_SEARCH_PATH, {"schema": schema})
    return before


def milliseconds(seconds: float | None) -> str:
    """Return a time-out as PostgreSQL reads it; 0 is none."""
    return f"{int((seconds or 0) * 1000)}ms"
