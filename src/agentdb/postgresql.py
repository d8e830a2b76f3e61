"""Transactions of an engine on PostgreSQL: how they begin, and on which connections."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from agentdb.driver_errors import READ_ONLY_OPTION
from agentdb.poolers import spare_prepared_statements
from agentdb.search_path import require_mapped, set_own_path
from agentdb.settings import Settings
from agentdb.tenancy.binding import SCOPE_OPTION, Binding
from agentdb.tenancy.scope import Scope

_ASKED = "agentdb_asked"
_RETURNED = "agentdb_returned"


def prepare_postgresql(engine: Engine, settings: Settings, schema: str | None) -> None:
    """Set up an engine of ours: BEGIN and the settings of its transaction are one round trip."""

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _: ConnectionPoolEntry) -> None:
        # BEGIN is sent below, together with the settings of the transaction.
        dbapi_connection.autocommit = True
        if settings.pooler is None:
            spare_prepared_statements(dbapi_connection)

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

    _begin_in_one(engine, settings, schema)


def _begin_in_one(engine: Engine, settings: Settings, schema: str | None) -> None:
    """Send BEGIN together with the limits, the tenant and the question what binds the role."""
    path = [] if schema is None else [set_own_path(schema)]
    fixed = [*_set_config(_limits(settings)), *path]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if schema is not None:
            require_mapped(connection, schema)
        options = connection.get_execution_options()
        mode = "ISOLATION LEVEL READ COMMITTED, READ WRITE"
        if options.get(READ_ONLY_OPTION):
            mode = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        binding = Binding(
            options.get(SCOPE_OPTION) or Scope(),
            schema,
            required=settings.rls == "require",
            everywhere=_ASKED not in connection.info,
        )
        answer = _send(connection, f"BEGIN {mode}; SELECT {', '.join([*fixed, *binding.calls])}")
        if binding.asks:
            binding.judge(bound=answer[-1])
            connection.info[_ASKED] = True


def follow_schema(engine: Engine, schema: str, set_path: str) -> None:
    """Set the search path in each transaction that the driver begins by itself.

    Args:
        engine: Its ``schema_translate_map`` leads to *schema*.
        schema: The schema of the tables.
        set_path: The call that sets the path.
    """
    # The driver takes a single percent sign for a parameter.
    statement = f"SELECT {set_path.replace('%', '%%')}"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        require_mapped(connection, schema)
        connection.exec_driver_sql(statement)


def _limits(settings: Settings) -> dict[str, str]:
    times = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    limits = {name: f"{int((value or 0) * 1000)}ms" for name, value in times.items()}
    # The one style that the driver reads.
    return {**limits, "DateStyle": "ISO"}


def _set_config(values: dict[str, str]) -> list[str]:
    """Return calls that hold until the transaction ends, and so behind a pooler too.

    The values are numbers and UUIDs of our own making; none comes from outside.
    """
    return [f"set_config('{name}', '{value}', true)" for name, value in values.items()]


def _send(connection: Connection, script: str) -> tuple[Any, ...]:
    """Send several statements in one round trip, and return the row that the last one answers.

    The simple protocol alone allows that.
    """
    adapted: Any = connection.connection.dbapi_connection

    async def execute(driver: Any) -> tuple[Any, ...]:
        cursor = await driver.execute(script, prepare=False)
        while cursor.nextset():
            pass
        row: tuple[Any, ...] = await cursor.fetchone()
        return row

    try:
        row: tuple[Any, ...] = adapted.run_async(execute)
    except BaseException as error:
        # What SQLAlchemy does where it sends BEGIN itself: translate, drop a broken connection with
        # all that are older, and one whose task was cancelled.
        held: Any = connection
        held._handle_dbapi_exception(error, script, None, None, None)  # noqa: SLF001
        raise AssertionError from error  # that raised
    return row
