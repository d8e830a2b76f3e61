"""Engines that keep the promises: how connections are made, checked, begun and given back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool

from agentdb.driver_errors import translate_errors
from agentdb.driver_logs import LOGGING_NAME, hide_values
from agentdb.errors import AgentDBError, ConfigurationError, ForkedEngineError
from agentdb.openings import stands
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
from agentdb.sqlite import prepare_sqlite, set_up_sqlite
from agentdb.sqlite_connect import WriteQueue
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
        set_up_sqlite(engine, settings)
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
        prepare_sqlite(engine, settings)
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
        return {
            "timeout": settings.busy_timeout,
            "async_creator_fn": WriteQueue(settings.busy_timeout).connect,
        }
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
            is_open = driver.in_transaction
        else:
            is_open = driver.info.transaction_status.name != "INERROR"
        if not stands(connection, is_open=is_open):
            connection.connection.rollback()
            raise AgentDBError("an earlier statement failed, so the unit of work was rolled back")
