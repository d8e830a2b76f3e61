"""What an engine of SQLite listens to: how transactions begin, and what becomes of broken ones."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from agentdb.direct import send_scripts
from agentdb.driver_errors import READ_ONLY_OPTION, SINGLE_OPTION
from agentdb.errors import ConfigurationError
from agentdb.openings import Opening, keep_back, open_late
from agentdb.settings import Settings
from agentdb.sqlite_connect import SqliteConnection
from agentdb.sqlite_functions import register_functions
from agentdb.urls import is_memory

_READ_ONLY = "agentdb_read_only"
_BEGIN = "BEGIN IMMEDIATE"


def prepare_sqlite(engine: Engine, settings: Settings) -> None:
    """Make transactions on *engine* keep the promises of units of work."""
    set_up_sqlite(engine, settings)
    open_late(engine)
    _give_up(engine)
    # SQLite numbers the rows of one INSERT in their order. SQLAlchemy does not rely on that by
    # itself, and would send one INSERT for each row of a table that numbers them.
    engine.dialect.insertmanyvalues_implicit_sentinel = (
        InsertmanyvaluesSentinelOpts.ANY_AUTOINCREMENT
    )


def _give_up(engine: Engine) -> None:
    """Stop the statement of a cancelled task, and drop a connection whose transaction is gone."""

    @event.listens_for(engine, "handle_error")
    def interrupt(context: ExceptionContext) -> None:
        connection = context.connection
        if connection is None or connection.invalidated:
            return
        adapted: Any = connection.connection.dbapi_connection
        if isinstance(context.original_exception, Exception) or not hasattr(adapted, "run_async"):
            return
        # It would go on in the thread of its connection, and hold the lock. So would the connection
        # if it were dropped: SQLite closes it when its last cursor is gone. So it is rolled back
        # and kept, unless it waits for the lock, which cannot be interrupted.
        adapted.run_async(_interrupt)
        if is_memory(engine.url) or _is_work(context.statement):
            context.is_disconnect = False

    @event.listens_for(engine, "handle_error")
    def discard(context: ExceptionContext) -> None:
        # After some failures, a full disk for one, SQLite has rolled back: there is no savepoint to
        # return to, and what follows would be stored at once.
        connection = context.connection
        if connection is None or connection.invalidated or not _is_work(context.statement):
            return
        if is_memory(engine.url):
            return  # the database is the connection
        driver: Any = connection.connection.driver_connection
        if isinstance(context.original_exception, sqlite3.Error) and not driver.in_transaction:
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False


def _is_work(statement: str | None) -> bool:
    return statement is not None and not statement.startswith(("BEGIN", "PRAGMA"))


async def _interrupt(driver: Any) -> None:
    await driver.interrupt()


def set_up_sqlite(engine: Engine, settings: Settings) -> None:
    """Make the connections of *engine* check, wait and begin as units of work and migrations do."""

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions by itself: it would begin them DEFERRED, and a
        # transaction that reads before it writes then fails instead of waiting.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA foreign_keys")
        if cursor.fetchone() != (1,):
            raise ConfigurationError("this SQLite was built without foreign keys")
        cursor.execute(f"PRAGMA busy_timeout = {int(settings.busy_timeout * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {settings.synchronous}")
        cursor.close()
        register_functions(dbapi_connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(READ_ONLY_OPTION)
        driver = connection.connection.driver_connection
        own = driver if isinstance(driver, SqliteConnection) else None
        if own and reads:
            own.begin_reading()
        elif reads:
            connection.info[_READ_ONLY] = True
            send_scripts(connection, "PRAGMA query_only = ON", "BEGIN")
        else:
            if own:
                own.begin_writing()
            if own and connection.get_execution_options().get(SINGLE_OPTION):
                keep_back(connection, Opening(_BEGIN, send_scripts))
            else:
                send_scripts(connection, _BEGIN)

    @event.listens_for(engine, "reset")
    def reset(dbapi_connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        # Of a driver that does not do so by itself.
        if dbapi_connection is not None and record.info.pop(_READ_ONLY, False):
            cursor = dbapi_connection.cursor()
            cursor.execute("PRAGMA query_only = OFF")
            cursor.close()
