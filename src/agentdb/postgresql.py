"""Transactions of an engine on PostgreSQL: how they begin, and on which connections."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from agentdb.direct import may_pipeline
from agentdb.driver_errors import READ_ONLY_OPTION
from agentdb.openings import Opening, keep_back, open_late
from agentdb.poolers import spare_prepared_statements
from agentdb.search_path import require_mapped, set_own_path
from agentdb.settings import Settings
from agentdb.tenancy.binding import SCOPE_OPTION, Binding
from agentdb.tenancy.scope import Scope

_ASKED = "agentdb_asked"
_RETURNED = "agentdb_returned"
_IDLE = 0
"""What libpq says of a connection without a transaction, ``PQTRANS_IDLE``."""


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
        if returned is None:
            return
        rested = time.monotonic() - returned >= settings.ping_after
        try:
            if rested or _has_word(dbapi_connection.driver_connection):
                dbapi_connection.cursor().execute("")
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the connection broke while it was idle") from error

    _end_what_is_open(engine)
    _begin_in_one(engine, settings, schema)


def _end_what_is_open(engine: Engine) -> None:
    """Pass over a COMMIT or ROLLBACK of nothing: the pool sends one behind each unit.

    The driver would find out by itself, under its lock and by way of the event loop.
    """
    dialect: Any = engine.dialect

    def unless_idle(end: Callable[[Any], None]) -> Callable[[Any], None]:
        def end_it(dbapi_connection: Any) -> None:
            if dbapi_connection.driver_connection.pgconn.transaction_status != _IDLE:
                end(dbapi_connection)

        return end_it

    dialect.do_commit = unless_idle(dialect.do_commit)
    dialect.do_rollback = unless_idle(dialect.do_rollback)


def _has_word(driver: Any) -> bool:
    """Whether the server has sent what nobody asked for: that it goes, most likely.

    The socket tells without a round trip.
    """
    socket = driver.fileno()
    if sys.platform == "win32":
        return bool(select.select([socket], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(socket, select.POLLIN)
    return bool(waiting.poll(0))


def _begin_in_one(engine: Engine, settings: Settings, schema: str | None) -> None:
    """Send BEGIN together with the limits, the tenant and what binds the role.

    It waits for the first statement. The first unit of a connection whose role has to be bound, or
    must not be, is refused at once instead, for a table that it may never come to.
    """
    path = [] if schema is None else [set_own_path(schema)]
    # The driver takes a single percent sign for a parameter.
    fixed = ", ".join([*_set_config(_limits(settings)), *path]).replace("%", "%%")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if schema is not None:
            require_mapped(connection, schema)
        options = connection.get_execution_options()
        start = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
        if options.get(READ_ONLY_OPTION):
            start = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        scope = options.get(SCOPE_OPTION)
        is_known = _ASKED in connection.info
        required = settings.rls == "require"
        binding = Binding(scope or Scope(), schema, required=required, everywhere=not is_known)
        opening = Opening(start, _send, f"SELECT {fixed}, {binding.told}", binding.tenant)
        # A host that uses the engine may go past SQLAlchemy, to the driver.
        waits = scope is not None and (is_known or not binding.asks)
        if waits and may_pipeline(connection.connection.driver_connection):
            keep_back(connection, opening)
            return
        _send(connection, opening.script)
        if binding.asks:
            connection.info[_ASKED] = True

    open_late(engine)


def ask(connection: Connection, binding: Binding) -> None:
    """Let the server refuse the role outside a transaction.

    Raises:
        PermissionDeniedError: Policies bind the role, or do not, against what has to be.
    """
    # SQLAlchemy's own ways to run a statement would begin a transaction.
    _send(connection, f"SELECT {binding.refusal}")


def reads_plainly(connection: Connection) -> bool:
    """Whether a statement means outside a transaction what it means in one of ours.

    What BEGIN sets for the others is the style of dates, which the driver has to be able to read.
    """
    driver: Any = connection.connection.driver_connection
    style: str = driver.info.parameter_status("DateStyle") or ""
    return style.startswith("ISO")


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
    """Send several statements in one round trip; the simple protocol alone allows that."""
    adapted: Any = connection.connection.dbapi_connection

    async def execute(driver: Any) -> None:
        await driver.execute(script, prepare=False)

    try:
        adapted.run_async(execute)
    except BaseException as error:
        # What SQLAlchemy does where it sends BEGIN itself: translate, drop a broken connection with
        # all that are older, and one whose task was cancelled.
        held: Any = connection
        held._handle_dbapi_exception(error, script, None, None, None)  # noqa: SLF001
        raise AssertionError from error  # that raised
