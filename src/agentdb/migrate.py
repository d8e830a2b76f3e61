"""The migrations as functions: what ``agentdb upgrade`` and its sisters call.

Each takes a URL or a live connection, is synchronous, and works inside a running event loop (it
blocks it; `Database.upgrade` does not).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text

from agentdb.engines import make_sync_engine
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.settings import Settings
from agentdb.version import VERSION_TABLE

Target: TypeAlias = str | URL | Connection

# Alembic's `op` and `context` are globals: two migrations in one process would mix.
_LOCK = Lock()

# hashtext('agentdb'), as a literal: upgraders of one database wait for each other.
_ADVISORY_KEY = 1_635_083_374


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema.

    Attributes:
        revision: Its number.
        down_revision: The step before it; None for the first.
        description: What it makes.
    """

    revision: str
    down_revision: str | None
    description: str


def script_location() -> Path:
    """Return the folder of the migrations: in the package, or beside it in a checkout."""
    with resources.as_file(resources.files("agentdb")) as package:
        shipped = package / "migrations"
        return shipped if shipped.is_dir() else package.parents[1] / "migrations"


def upgrade(target: Target, revision: str = "head") -> None:
    """Apply the revisions up to *revision*, all or none.

    Concurrent upgraders of one database, in any process, wait for each other; the later ones find
    nothing left to do.

    Raises:
        SchemaVersionError: There is no such revision, the database is at one that this release does
            not know, or has tables of the same names that are not managed by it.
        UnavailableError: The database cannot be reached.
    """
    with _LOCK, _connected(target) as connection:
        upgrade_connection(connection, revision)


def upgrade_connection(connection: Connection, revision: str = "head") -> None:
    """Upgrade over *connection*, without the lock of the process: see `exclusive`."""
    _migrate(connection, command.upgrade, revision)


def downgrade(target: Target, revision: str) -> None:
    """Take back the revisions above *revision* (``base`` for all), with their data, all or none.

    The extension citext stays: others may use it.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    with _LOCK, _connected(target) as connection:
        _migrate(connection, command.downgrade, revision)


def stamp(target: Target, revision: str) -> None:
    """Record *revision* as the one of the database, without running anything.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    with _LOCK, _connected(target) as connection:
        _migrate(connection, command.stamp, revision)


def current(target: Target) -> str | None:
    """Return the revision that the database is at; None for one that has none."""
    with _connected(target) as connection, _reading(connection):
        return _current(connection)


def heads() -> list[str]:
    """Return the newest revisions that this release has: one, while the history is linear."""
    return ScriptDirectory.from_config(_config()).get_heads()


def history() -> list[Revision]:
    """Return all revisions, oldest first."""
    found = reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))
    return [Revision(s.revision, _parent(s.down_revision), s.doc or "") for s in found]


def check(target: Target) -> list[str]:
    """Return how the tables of the database differ from the models; empty where they do not.

    Alembic compares tables, columns, types, keys and indexes; predicates of indexes and generated
    expressions are beyond it.

    Raises:
        SchemaVersionError: The database is not at the newest revision.
    """
    from agentdb.comparison import comparison_options  # noqa: PLC0415 -- maps all tables

    with _LOCK, _connected(target) as connection, _reading(connection):
        require_head(connection)
        options = comparison_options(connection.dialect.name)
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, options["target_metadata"])
        return [repr(difference) for difference in found]


def require_head(connection: Connection) -> None:
    """Refuse a database that is not at the newest revision.

    Raises:
        SchemaVersionError: It is behind, ahead, or has no revision.
    """
    found, newest = _current(connection), heads()[0]
    if found == newest:
        return
    if found is None:
        raise SchemaVersionError("the database has no revision: run `agentdb upgrade`")
    if found in {step.revision for step in history()}:
        raise SchemaVersionError(f"the database is at {found}, not {newest}: run `agentdb upgrade`")
    raise SchemaVersionError(f"the database is at {found}, which this release does not know")


def sql(dialect: str = "postgresql", revision: str = "head") -> str:
    """Return the SQL of an upgrade as a script; ``start:end`` takes it between two revisions.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    buffer = io.StringIO()
    with _LOCK, _refusals():
        command.upgrade(_config(output=buffer, dialect=dialect), revision, sql=True)
    return buffer.getvalue()


@asynccontextmanager
async def exclusive() -> AsyncGenerator[None]:
    """Hold the lock of the process without blocking the event loop that waits for it."""
    while not _LOCK.acquire(blocking=False):  # noqa: ASYNC110 -- threads have no event to await
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        _LOCK.release()


def _parent(down_revision: Any) -> str | None:
    return None if down_revision is None else str(down_revision)


def _config(output: io.StringIO | None = None, **attributes: object) -> Config:
    config = Config(output_buffer=output, stdout=io.StringIO())
    # A path with a percent sign would be read as an interpolation.
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _migrate(connection: Connection, step: Any, revision: str) -> None:
    with _transaction(connection), _refusals():
        step(_config(connection=connection), revision)


@contextmanager
def _connected(target: Target) -> Generator[Connection]:
    if isinstance(target, Connection):
        yield target
        return
    # Building an index takes the time that it takes: no limit on statements.
    engine = make_sync_engine(target, Settings(statement_timeout=None))
    with engine.connect() as connection:
        yield connection


@contextmanager
def _reading(connection: Connection) -> Generator[None]:
    """Read in the transaction that the connection is in, else in one of its own."""
    with nullcontext() if connection.in_transaction() else connection.begin():
        yield


@contextmanager
def _transaction(connection: Connection) -> Generator[None]:
    """Run one transaction round the whole step, alone among all processes."""
    if connection.in_transaction():
        raise ConfigurationError("migrate over a connection that is in no transaction")
    if connection.dialect.name == "sqlite":
        with _without_foreign_keys(connection), connection.begin():
            yield
            _check_foreign_keys(connection)
    else:
        with connection.begin():
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_KEY})"))
            yield


@contextmanager
def _without_foreign_keys(connection: Connection) -> Generator[None]:
    """Switch foreign keys off before BEGIN: a rebuild of a table would delete its children.

    The pragma does nothing inside a transaction: https://www.sqlite.org/pragma.html#pragma_foreign_keys.
    """
    _pragma(connection, "foreign_keys = OFF")
    try:
        yield
    finally:
        _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, pragma: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _check_foreign_keys(connection: Connection) -> None:
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise SchemaVersionError("the migration would leave references that lead nowhere")


@contextmanager
def _refusals() -> Generator[None]:
    try:
        yield
    except CommandError as error:
        raise SchemaVersionError(f"the migrations do not fit the database: {error}") from error
