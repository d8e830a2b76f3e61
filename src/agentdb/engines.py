"""Engines that keep the promises: how connections are made, checked, begun and given back."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from agentdb.direct import send_scripts
from agentdb.driver_errors import READ_ONLY_OPTION, translate_errors
from agentdb.driver_logs import LOGGING_NAME, hide_values
from agentdb.errors import AgentDBError, ConfigurationError, ForkedEngineError
from agentdb.postgresql import follow_schema, prepare_postgresql
from agentdb.search_path import (
    MAP_OPTION,
    SchemaMap,
    check_schema,
    extend_path,
    schema_map,
    set_own_path,
)
from agentdb.settings import Settings
from agentdb.sqlite_connect import connect
from agentdb.sqlite_functions import register_functions
from agentdb.tenancy.predicates import model_of
from agentdb.urls import async_url, is_memory, sync_url


class Configuration(NamedTuple):
    """What an engine was set up with.

    Attributes:
        settings: Limits and time-outs.
        schema: Schema that holds the tables; None for the search path.
    """

    settings: Settings
    schema: str | None


_PID = "agentdb_pid"
_READ_ONLY = "agentdb_read_only"
_QUIET: dict[str, Any] = {"hide_parameters": True, "logging_name": LOGGING_NAME}
_configured: WeakKeyDictionary[Engine, Configuration] = WeakKeyDictionary()


def make_async_engine(
    url: str | URL, settings: Settings, *, schema: str | None = None
) -> AsyncEngine:
    """Return an engine for units of work.

    Args:
        url: The database.
        settings: Limits and time-outs.
        schema: Schema that holds the tables, on PostgreSQL; None for the one of the search path.

    Raises:
        ConfigurationError: The URL, its driver or the schema cannot be used.
    """
    target = async_url(url)
    check_schema(target, schema)
    arguments = _pool_arguments(target, settings) | _schema_arguments(schema)
    try:
        engine = create_async_engine(target, **_QUIET, **arguments)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise _missing_driver(target) from None
    _prepare(engine.sync_engine, settings, schema, own=True)
    return engine


def make_sync_engine(url: str | URL, settings: Settings, *, schema: str | None = None) -> Engine:
    """Return an engine for one migration: a connection that is closed after use.

    Arguments and errors are those of `make_async_engine`.
    """
    target = sync_url(url)
    check_schema(target, schema)
    # Nothing runs often enough in a migration to be prepared, and a pooler could not bear it.
    settings = replace(settings, pooler="pgbouncer")
    arguments = {"connect_args": _connect_arguments(target, settings), "poolclass": NullPool}
    try:
        engine = create_engine(target, **_QUIET, **arguments, **_schema_arguments(schema))
    except (ModuleNotFoundError, NoSuchModuleError):
        raise _missing_driver(target) from None
    hide_values()
    translate_errors(engine)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, settings)
    elif schema is not None:
        follow_schema(engine, schema, set_own_path(schema))
    return engine


def _missing_driver(url: URL) -> ConfigurationError:
    return ConfigurationError(f"the driver for {url.get_backend_name()} is not installed")


def configure(
    engine: AsyncEngine | Engine, settings: Settings | None = None, *, schema: str | None = None
) -> None:
    """Set up an engine of the host, so that `UnitOfWork` can join its sessions.

    Errors are translated, a forked child may not use the parent's connections, and on SQLite
    foreign keys are on, writers wait for each other and transactions begin IMMEDIATE. Call it once,
    before the engine connects; calling it again does nothing.

    With *schema*, all mapped tables without a schema of their own mean those of *schema* in each
    statement on the engine, the host's too: a host that keeps its tables elsewhere names their
    schema in its ``MetaData``. Each transaction adds the schema of citext to the end of its search
    path, in one more round trip; what the host's own SQL names stays what it was.

    Args:
        engine: An engine of PostgreSQL with psycopg or of SQLite.
        settings: Limits and time-outs; of PostgreSQL, the host's own stay.
        schema: Schema that holds the tables of agentdb, on PostgreSQL; None for the one of the
            search path.

    Raises:
        ConfigurationError: The engine is of neither, the schema cannot be used, or the engine was
            given another before.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    check_schema(async_url(target.url), schema)
    if target not in _configured:
        if schema is not None:
            _map_schema(target, schema)
        _prepare(target, settings or Settings(), schema, own=False)
    elif _configured[target].schema != schema:
        raise ConfigurationError("the engine was configured for another schema")


def _map_schema(engine: Engine, schema: str) -> None:
    known: SchemaMap = engine.get_execution_options().get(MAP_OPTION) or {}
    if known.get(None, schema) != schema:
        raise ConfigurationError(f"the {MAP_OPTION} of the engine leads to another schema")
    engine.update_execution_options(**{MAP_OPTION: {**known, **schema_map(schema)}})


def configuration_of(session: Session) -> Configuration:
    """Return what the engine of a session was set up with.

    Raises:
        ConfigurationError: Its engine was never passed to `configure`.
    """
    bind = session.get_bind(model_of("tenant_accounts"))
    engine = bind.engine if isinstance(bind, Connection) else bind
    if engine not in _configured:
        raise ConfigurationError("pass the engine of this session to agentdb.configure first")
    return _configured[engine]


def _prepare(engine: Engine, settings: Settings, schema: str | None, *, own: bool) -> None:
    hide_values()
    translate_errors(engine)
    _guard_forks(engine)
    _guard_commits(engine)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, settings)
        _give_up(engine)
        # SQLite numbers the rows of one INSERT in their order. SQLAlchemy does not rely on that by
        # itself, and would send one INSERT for each row of a table that numbers them.
        engine.dialect.insertmanyvalues_implicit_sentinel = (
            InsertmanyvaluesSentinelOpts.ANY_AUTOINCREMENT
        )
    elif own:
        prepare_postgresql(engine, settings, schema)
    elif schema is not None:
        follow_schema(engine, schema, extend_path())
    _configured[engine] = Configuration(settings, schema)


def _schema_arguments(schema: str | None) -> dict[str, Any]:
    return {} if schema is None else {"execution_options": {MAP_OPTION: schema_map(schema)}}


def _pool_arguments(url: URL, settings: Settings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "connect_args": _connect_arguments(url, settings),
        "poolclass": AsyncAdaptedQueuePool,
        "pool_timeout": settings.pool_timeout,
    }
    if is_memory(url):
        # The database is the connection: one unit of work has it at a time, the others wait.
        return {**arguments, "pool_size": 1, "max_overflow": 0}
    return {
        **arguments,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_recycle": settings.pool_recycle,
    }


def _connect_arguments(url: URL, settings: Settings) -> dict[str, Any]:
    if url.drivername == "sqlite+aiosqlite":
        return {"timeout": settings.busy_timeout, "async_creator_fn": connect}
    if url.get_backend_name() == "sqlite":
        return {"timeout": settings.busy_timeout}
    arguments: dict[str, Any] = {
        # Else text of a database in SQL_ASCII would come as bytes, before it can be refused.
        "client_encoding": "utf8",
        "connect_timeout": settings.connect_timeout,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    if settings.pooler == "pgbouncer":
        # A pooler in transaction mode hands the next transaction another server connection, which
        # does not know the statement, or knows another one by its name.
        arguments["prepare_threshold"] = None
    return arguments


def _guard_forks(engine: Engine) -> None:
    """Keep a child process off the connections of its parent: two would read one stream."""

    @event.listens_for(engine, "connect")
    def remember(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_PID] = os.getpid()

    @event.listens_for(engine, "checkout")
    def replace(_: object, record: ConnectionPoolEntry, proxy: Any) -> None:
        if record.info.get(_PID) != os.getpid():
            held: Any = record
            held.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("the connection belongs to the parent process")

    def is_foreign(connection: Connection) -> bool:
        return not connection.invalidated and connection.info.get(_PID) != os.getpid()

    @event.listens_for(engine, "rollback")
    def abandon(connection: Connection) -> None:
        # ROLLBACK on the shared stream would undo what the parent is doing.
        if is_foreign(connection):
            held: Any = connection.connection
            held.dbapi_connection = None

    def refuse(connection: Connection, *_: object) -> None:
        if is_foreign(connection):
            abandon(connection)
            raise ForkedEngineError("the unit of work was begun in the parent process")

    # Before the cursor too: making one asks the thread of the connection, which no child has.
    event.listen(engine, "before_execute", refuse)
    event.listen(engine, "before_cursor_execute", refuse)
    event.listen(engine, "commit", refuse)


def _guard_commits(engine: Engine) -> None:
    """Refuse a COMMIT that would store nothing and say nothing.

    After a failed statement PostgreSQL answers COMMIT by rolling back, and SQLite has rolled back
    already if the disk was full: https://www.postgresql.org/docs/current/sql-commit.html,
    https://www.sqlite.org/lang_transaction.html.
    """

    @event.listens_for(engine, "commit")
    def refuse(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            stands = driver.in_transaction
        else:
            stands = driver.info.transaction_status.name != "INERROR"
        if not stands:
            connection.connection.rollback()
            raise AgentDBError("an earlier statement failed, so the unit of work was rolled back")


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


def _prepare_sqlite(engine: Engine, settings: Settings) -> None:
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
        if connection.get_execution_options().get(READ_ONLY_OPTION):
            connection.info[_READ_ONLY] = True
            send_scripts(connection, "PRAGMA query_only = ON", "BEGIN")
        else:
            send_scripts(connection, "BEGIN IMMEDIATE")

    @event.listens_for(engine, "reset")
    def reset(dbapi_connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        if dbapi_connection is not None and record.info.pop(_READ_ONLY, False):
            cursor = dbapi_connection.cursor()
            cursor.execute("PRAGMA query_only = OFF")
            cursor.close()
