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

TENANT_OPTION = "agentdb_tenant"
"""Execution option of a connection: the tenant that PostgreSQL's policies see."""

_RETURNED = "agentdb_returned"


def prepare_postgresql(engine: Engine, settings: Settings, schema: str | None) -> None:
    """Set up an engine of ours: BEGIN and the settings of its transaction are one round trip."""
    limits = _limits(settings)
    path = [] if schema is None else [set_own_path(schema)]

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _: ConnectionPoolEntry) -> None:
        # BEGIN is sent below, together with the settings of the transaction.
        dbapi_connection.autocommit = True
        if settings.pooler is None:
            spare_prepared_statements(dbapi_connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if schema is not None:
            require_mapped(connection, schema)
        options = connection.get_execution_options()
        mode = "ISOLATION LEVEL READ COMMITTED, READ WRITE"
        if options.get(READ_ONLY_OPTION):
            mode = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        chosen = {**limits, "agentdb.tenant_id": str(options.get(TENANT_OPTION) or "")}
        calls = ", ".join([*_set_config(chosen), *path])
        _send(connection, f"BEGIN {mode}; SELECT {calls}")

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
