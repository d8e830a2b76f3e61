"""Our revisions inside a revision of the host, in its transaction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import alembic.context
import alembic.op
from sqlalchemy import Connection, event

from agentdb.driver_errors import orm_errors
from agentdb.errors import ConfigurationError
from agentdb.migrate import environment
from agentdb.migrate.connections import in_schema, search_in
from agentdb.migrate.indexes import HostOperations
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits
from agentdb.migrate.locks import PROCESS, Waiting, key_of, try_lock
from agentdb.migrate.preflight import prepare
from agentdb.migrate.revisions import HEAD, Revision, resolve
from agentdb.migrate.runs import missing_steps

_IN_TRANSACTION = 2  # https://www.postgresql.org/docs/current/libpq-status.html
_REBUILT = ("CREATE TABLE _alembic_tmp_", 'CREATE TABLE "_alembic_tmp_')


def upgrade_in(
    op: HostOperations,
    *,
    to: str = HEAD,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Revision]:
    """Bring our tables up to a revision inside the transaction of a host's own revision.

    The rest of that revision can refer to them, and all of it commits or none. Indexes that
    `upgrade` builds concurrently are built in the transaction, where writers wait for them. Other
    upgraders of the database wait until the transaction ends.

    Args:
        op: ``alembic.op`` of the host's revision.
        to: A revision, a version of the package, or ``head``. Name one: a revision of the host that
            says ``head`` does more after each update of this package.
        schema: Schema that holds our tables, on PostgreSQL; made if it does not exist.
        limits: How long to wait for other upgraders; the time-outs of statements are the host's.

    Returns:
        The revisions applied; none where the database was there already.

    Raises:
        ConfigurationError: No transaction is open (the SQLite driver opens none before DDL unless
            told to), a table would be rebuilt on SQLite while foreign keys are enforced, which
            deletes the rows that refer to it, or the host writes its migrations as a script.
        SchemaVersionError: As of `upgrade`.
        PermissionDeniedError: The role lacks a right; the message names it.
        DeadlineError: Another upgrader did not end in time.
    """
    aim = resolve(to)
    if op.get_context().as_sql:
        raise ConfigurationError("a script cannot ask where the database is: add `agentdb sql`")
    connection: Connection = op.get_bind()
    _require_transaction(connection)
    with orm_errors(), _placed(connection, schema), _guarded(connection), _proxies_kept():
        _wait(connection, Waiting(limits))
        steps = missing_steps(connection, aim)
        if steps:
            prepare(connection)
            with PROCESS:
                environment.run("upgrade", connection, steps[-1].revision, in_host_transaction=True)
        return steps


def _require_transaction(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        is_open = driver.in_transaction
    else:
        is_open = driver.info.transaction_status == _IN_TRANSACTION
    if not is_open:
        raise ConfigurationError("no transaction is open, so a failure would leave half a schema")


@contextmanager
def _placed(connection: Connection, schema: str | None) -> Generator[None]:
    """Work in *schema*, and leave the connection of the host as it was."""
    if schema is None:
        yield
        return
    before = connection.get_execution_options().get("schema_translate_map")
    in_schema(connection, schema)
    path = search_in(connection, schema)
    try:
        yield
        connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (path,))
    finally:
        connection.execution_options(schema_translate_map=before)


@contextmanager
def _guarded(connection: Connection) -> Generator[None]:
    """Refuse to rebuild a table of SQLite while its rows would take others with them."""
    if connection.dialect.name != "sqlite":
        yield
        return
    enforced = bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())

    def refuse(_: object, __: object, statement: str, *___: object) -> None:
        if enforced and statement.lstrip().startswith(_REBUILT):
            raise ConfigurationError(
                "a revision rebuilds a table, which deletes the rows that refer to it:"
                " switch foreign_keys off before the transaction"
            )

    event.listen(connection, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", refuse)


@contextmanager
def _proxies_kept() -> Generator[None]:
    """Give `alembic.op` and `alembic.context` back to the host: a run within a run takes them."""
    held: list[Any] = [vars(module).get("_proxy") for module in (alembic.op, alembic.context)]
    try:
        yield
    finally:
        for proxy in held:
            if proxy is not None:
                proxy._install_proxy()  # noqa: SLF001 -- Alembic nests no runs by itself


def _wait(connection: Connection, waiting: Waiting) -> None:
    if connection.dialect.name != "postgresql":
        return  # the transaction has the write lock, or will get it
    key = key_of(connection)
    while not try_lock(connection, key):
        waiting.pause("another process is migrating this database")
