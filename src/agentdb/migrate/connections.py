"""The connection that a migration runs on, and the schema that it works in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, Connection, event, inspect, select, text

from agentdb.driver_errors import READ_ONLY_OPTION
from agentdb.engines import make_sync_engine
from agentdb.errors import SchemaVersionError
from agentdb.migrate.limits import Limits
from agentdb.search_path import (
    MAP_OPTION,
    check_schema,
    mapped_schema,
    schema_map,
    set_own_path,
)
from agentdb.settings import Settings
from agentdb.urls import sync_url
from agentdb.version import VERSION_TABLE, version_table

Target: TypeAlias = str | URL | Connection

# Seconds of one attempt of SQLite to get the lock; between attempts the waiting is told.
_SQLITE_PATIENCE = 1.0

# What row-level security would hide from a migration is an error, and not silently left out.
_SETTINGS = text("""
    SELECT set_config('lock_timeout', :lock_timeout, true),
           set_config('statement_timeout', :statement_timeout, true),
           set_config('idle_in_transaction_session_timeout', '0', true),
           set_config('row_security', 'off', true)
""")
_PATH = text("SELECT current_setting('search_path')")


@contextmanager
def connected(target: Target, *, schema: str | None = None) -> Generator[Connection]:
    """Yield a connection to *target* that works in *schema*.

    Raises:
        ConfigurationError: The schema cannot be used.
        UnavailableError: It cannot be reached.
    """
    if isinstance(target, Connection):
        yield in_schema(target, schema)
        return
    settings = Settings(statement_timeout=None, busy_timeout=_SQLITE_PATIENCE)
    # Its schema is not the engine's, whose search path would overrule the one of `limited`.
    with make_sync_engine(target, settings).connect() as connection:
        yield in_schema(connection, schema)


@contextmanager
def looking(target: Target, *, schema: str | None = None) -> Generator[Connection]:
    """Yield a connection to *target* for reading; a missing file of SQLite is not made.

    It reads as the empty database that it would be, and a mistyped name leaves no file behind.

    Raises:
        ConfigurationError: The schema cannot be used.
        UnavailableError: The database cannot be reached.
    """
    place = target if isinstance(target, Connection) else _present(sync_url(target))
    with connected(place, schema=schema) as connection, reading(connection):
        yield connection


def _present(url: URL) -> URL:
    file = Path(url.database or "")
    # A name that is a URI has a mode of its own. A folder that is missing is an error anyway.
    if url.get_backend_name() != "sqlite" or str(file).startswith("file:") or file.exists():
        return url
    return url.set(database=":memory:") if file.parent.is_dir() else url


def in_schema(connection: Connection, schema: str | None) -> Connection:
    """Make the statements on *connection* mean the tables of *schema*.

    Raises:
        ConfigurationError: The schema cannot be used.
    """
    check_schema(connection.engine.url, schema)
    if schema is not None:
        connection.execution_options(**{MAP_OPTION: schema_map(schema)})
    return connection


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
    with reading(connection):
        if not inspect(connection).has_table(VERSION_TABLE, schema=mapped_schema(connection)):
            return None
        found = connection.execute(select(version_table.c.version_num)).scalars().all()
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
        if schema := mapped_schema(begun):
            search_in(begun, schema)

    event.listen(connection, "begin", begin)
    try:
        yield
    finally:
        event.remove(connection, "begin", begin)


def search_in(connection: Connection, schema: str) -> str:
    """Search *schema* first until the transaction ends; return the search path before."""
    before: str = connection.execute(_PATH).scalar_one()
    connection.exec_driver_sql(f"SELECT {set_own_path(schema)}".replace("%", "%%"))
    return before


def milliseconds(seconds: float | None) -> str:
    """Return a time-out as PostgreSQL reads it; 0 is none."""
    return f"{int((seconds or 0) * 1000)}ms"
