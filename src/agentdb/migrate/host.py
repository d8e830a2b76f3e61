"""Our revisions inside a revision of the host, in its transaction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import alembic.context
import alembic.op
from sqlalchemy import Connection, text

from agentdb.driver_errors import orm_errors, translated_errors
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.migrate import environment
from agentdb.migrate.connections import in_schema, revision_at, search_in
from agentdb.migrate.indexes import HostOperations
from agentdb.migrate.kept_policies import policies_kept
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits
from agentdb.migrate.locks import PROCESS, Waiting, key_of, try_lock
from agentdb.migrate.numbering import numbers_kept
from agentdb.migrate.preflight import prepare
from agentdb.migrate.rebuilds import references_kept
from agentdb.migrate.revisions import HEAD, Revision, between, history, resolve
from agentdb.migrate.verdicts import require_unused, unknown
from agentdb.search_path import MAP_OPTION, mapped_schema

_DRIVERS = {"psycopg", "pysqlite", "aiosqlite"}
_IN_TRANSACTION = 2  # https://www.postgresql.org/docs/current/libpq-status.html
_SET_PATH = text("SELECT set_config('search_path', :path, true)")


def upgrade_in(
    op: HostOperations,
    *,
    to: str = HEAD,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Revision]:
    """Bring our tables up to a revision inside the transaction of a host's own revision.

    The rest of that revision can refer to them, and all of it commits or none. A call that fails
    takes back what it did. Indexes that `upgrade` builds concurrently are built in the transaction,
    where writers wait for them. Other upgraders of the database wait until the transaction ends.

    Args:
        op: ``alembic.op`` of the host's revision.
        to: A revision, a version of the package, or ``head``. Name one: a revision of the host that
            says ``head`` does more after each update of this package.
        schema: Schema that holds our tables, on PostgreSQL; made if it does not exist. By default
            the one that the host's connection maps tables without a schema to, or that of its
            search path.
        limits: How long to wait for other upgraders; the time-outs of statements are the host's.

    Returns:
        The revisions applied; none where the database was there already, or further.

    Raises:
        ConfigurationError: No transaction is open (the SQLite driver opens none before DDL unless
            told to), a table would be rebuilt on SQLite while foreign keys are enforced, which
            deletes the rows that refer to it, the driver is not one of ours, or the host writes its
            migrations as a script.
        SchemaVersionError: There is no such revision, or the database has tables of the same names
            or a revision that are not ours.
        PermissionDeniedError: The role lacks a right; the message names it.
        DeadlineError: Another upgrader did not end in time.
        TransientError: Another writer was faster on SQLite, or a lock time-out of the host ran out.
    """
    aim = resolve(to)
    if op.get_context().as_sql:
        raise ConfigurationError(
            "a script cannot ask the database for its revision: write ours with `agentdb sql`,"
            " and leave `upgrade_in` out where `context.is_offline_mode()`"
        )
    connection: Connection = op.get_bind()
    _require_driver(connection)
    with translated_errors(connection), orm_errors():
        _require_transaction(connection)
        with connection.begin_nested(), _placed(connection, schema):
            return _climb(connection, aim, Waiting(limits))


def _climb(connection: Connection, aim: str | None, waiting: Waiting) -> list[Revision]:
    if not _missing(connection, aim):
        return []
    with _turn(connection, waiting):
        steps = _missing(connection, aim)
        if steps:
            prepare(connection)
            with (
                policies_kept(connection),
                references_kept(connection),
                numbers_kept(connection),
                _proxies_kept(),
            ):
                environment.run("upgrade", connection, steps[-1].revision, in_host_transaction=True)
        return steps


def _missing(connection: Connection, aim: str | None) -> list[Revision]:
    """Return the revisions up to *aim* that the database lacks: none if it is past that."""
    at = revision_at(connection)
    if at is None:
        require_unused(connection)
    elif at not in {step.revision for step in history()}:
        found = unknown(at)
        if not found.safe:
            raise SchemaVersionError(found.detail)
        return []
    return between(at, aim)


def _require_driver(connection: Connection) -> None:
    if (driver := connection.dialect.driver) not in _DRIVERS:
        raise ConfigurationError(f"agentdb speaks psycopg, sqlite3 and aiosqlite, not {driver}")


def _require_transaction(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")  # where psycopg begins
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        is_open = driver.in_transaction
    else:
        is_open = driver.info.transaction_status == _IN_TRANSACTION
    if not is_open:
        raise ConfigurationError(
            "the driver has no transaction open, so a failure would leave half a schema:"
            " see the how-to on a host's own Alembic"
        )


@contextmanager
def _turn(connection: Connection, waiting: Waiting) -> Generator[None]:
    """Keep others from migrating: in this process, and in the database until its transaction ends.

    Whoever waits holds neither lock, since others take them in another order.
    """
    # On SQLite the transaction has the lock on writing, or gets it with its first statement.
    key = key_of(connection) if connection.dialect.name == "postgresql" else None
    while not _locked(connection, key):
        waiting.pause("another process is migrating this database")
    try:
        yield
    finally:
        PROCESS.release()


def _locked(connection: Connection, key: int | None) -> bool:
    """Take both locks, or none."""
    with ExitStack() as undo:
        if not PROCESS.acquire(blocking=False):
            return False
        undo.callback(PROCESS.release)
        if key is not None and not try_lock(connection, key):
            return False
        undo.pop_all()
        return True


@contextmanager
def _placed(connection: Connection, schema: str | None) -> Generator[None]:
    """Work in *schema*, and leave the connection of the host as it was.

    On failure the search path comes back with the savepoint.
    """
    schema = schema or mapped_schema(connection)
    if schema is None:
        yield
        return
    before: Any = connection.get_execution_options().get(MAP_OPTION)
    in_schema(connection, schema)
    try:
        path = search_in(connection, schema)
        yield
        connection.execute(_SET_PATH, {"path": path})
    finally:
        connection.execution_options(schema_translate_map=before)


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
