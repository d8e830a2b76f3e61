"""Engines that keep the promises: how connections are made, checked, begun and given back."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from agentdb.driver_errors import READ_ONLY_OPTION, translate_errors
from agentdb.errors import AgentDBError, ConfigurationError, ForkedEngineError
from agentdb.poolers import spare_prepared_statements
from agentdb.settings import Settings
from agentdb.sqlite_connect import connect
from agentdb.tenancy.predicates import model_of
from agentdb.urls import async_url, is_memory, sync_url

TENANT_OPTION = "agentdb_tenant"
"""Execution option of a connection: the tenant that PostgreSQL's policies see."""

_PID = "agentdb_pid"
_RETURNED = "agentdb_returned"
_configured: WeakSet[Engine] = WeakSet()


def make_async_engine(url: str | URL, settings: Settings) -> AsyncEngine:
    """Return an engine for units of work.

    Raises:
        ConfigurationError: The URL or its driver cannot be used.
    """
    target = async_url(url)
    arguments = _pool_arguments(target, settings)
    try:
        engine = create_async_engine(target, hide_parameters=True, **arguments)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise _missing_driver(target) from None
    _prepare(engine.sync_engine, settings, own=True)
    return engine


def make_sync_engine(url: str | URL, settings: Settings) -> Engine:
    """Return an engine for one migration: a connection that is closed after use."""
    target = sync_url(url)
    # Nothing runs often enough in a migration to be prepared, and a pooler could not bear it.
    settings = replace(settings, pooler="pgbouncer")
    arguments = {"connect_args": _connect_arguments(target, settings), "poolclass": NullPool}
    try:
        engine = create_engine(target, hide_parameters=True, **arguments)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise _missing_driver(target) from None
    translate_errors(engine)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, settings)
    return engine


def _missing_driver(url: URL) -> ConfigurationError:
    return ConfigurationError(f"the driver for {url.get_backend_name()} is not installed")


def configure(engine: AsyncEngine | Engine, settings: Settings | None = None) -> None:
    """Set up an engine of the host, so that `UnitOfWork` can join its sessions.

    Errors are translated, a forked child may not use the parent's connections, and on SQLite
    foreign keys are on, writers wait for each other and transactions begin IMMEDIATE. Call it once,
    before the engine connects; calling it again does nothing.

    Raises:
        ConfigurationError: The engine is not of PostgreSQL with psycopg or of SQLite.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    async_url(target.url)
    if target not in _configured:
        _prepare(target, settings or Settings(), own=False)


def require_configured(session: Session) -> None:
    """Refuse a session whose engine does not keep the promises.

    Raises:
        ConfigurationError: Its engine was never passed to `configure`.
    """
    bind = session.get_bind(model_of("tenant_accounts"))
    engine = bind.engine if isinstance(bind, Connection) else bind
    if engine not in _configured:
        raise ConfigurationError("pass the engine of this session to agentdb.configure first")


def _prepare(engine: Engine, settings: Settings, *, own: bool) -> None:
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
        _prepare_postgresql(engine, settings)
    _configured.add(engine)


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

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(READ_ONLY_OPTION):
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "reset")
    def reset(dbapi_connection: Any, *_: object) -> None:
        if dbapi_connection is not None:
            cursor = dbapi_connection.cursor()
            cursor.execute("PRAGMA query_only = OFF")
            cursor.close()


def _prepare_postgresql(engine: Engine, settings: Settings) -> None:
    limits = _limits(settings)

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _: ConnectionPoolEntry) -> None:
        # BEGIN is sent below, together with the settings of the transaction.
        dbapi_connection.autocommit = True
        if settings.pooler is None:
            spare_prepared_statements(dbapi_connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        mode = "ISOLATION LEVEL READ COMMITTED, READ WRITE"
        if options.get(READ_ONLY_OPTION):
            mode = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        chosen = {**limits, "agentdb.tenant_id": str(options.get(TENANT_OPTION) or "")}
        _send(connection, f"BEGIN {mode}; SELECT {_set_config(chosen)}")

    @event.listens_for(engine, "checkin")
    def stamp(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_RETURNED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(dbapi_connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        returned = record.info.get(_RETURNED)
        if returned is None or time.monotonic() - returned < settings.ping_after:
            return
        try:
            dbapi_connection.cursor().execute("")
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the connection broke while it was idle") from error


def _limits(settings: Settings) -> dict[str, str]:
    times = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    limits = {name: f"{int((value or 0) * 1000)}ms" for name, value in times.items()}
    # The one style that the driver reads.
    return {**limits, "DateStyle": "ISO"}


def _set_config(values: dict[str, str]) -> str:
    """Return calls that hold until the transaction ends, and so behind a pooler too.

    The values are numbers and UUIDs of our own making; none comes from outside.
    """
    return ", ".join(f"set_config('{name}', '{value}', true)" for name, value in values.items())


def _send(connection: Connection, script: str) -> None:
    """Send several statements in one round trip, which the simple protocol alone allows."""
    adapted: Any = connection.connection.dbapi_connection

    async def execute(driver: Any) -> None:
        await driver.execute(script, prepare=False)

    try:
        adapted.run_async(execute)
    except BaseException as error:  # noqa: BLE001 -- raised again
        # What SQLAlchemy does where it sends BEGIN itself: translate, drop a broken connection with
        # all that are older, and one whose task was cancelled.
        held: Any = connection
        held._handle_dbapi_exception(error, script, None, None, None)  # noqa: SLF001
