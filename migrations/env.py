"""The environment in which Alembic runs the revisions.

``agentdb.migrate`` hands in a live connection and owns its transaction, its locks and its timeouts.
The bare ``alembic`` command of a developer finds the database in ``AGENTDB_DATABASE_URL``.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from alembic import context
from sqlalchemy import URL, Connection

from agentdb.engines import make_sync_engine
from agentdb.migrate.comparison import comparison_options
from agentdb.migrate.connections import milliseconds
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits
from agentdb.settings import Settings
from agentdb.urls import sync_url, url_from_environment


def database_url() -> URL:
    """Return the database of the bare command, under a driver that needs no event loop."""
    return sync_url(url_from_environment())


def options(dialect: str) -> dict[str, Any]:
    """Return what all runs have in common."""
    return {
        **comparison_options(dialect),
        "version_table_schema": context.config.attributes.get("schema"),
        "on_version_apply": context.config.attributes.get("on_version_apply", ()),
        "in_host_transaction": context.config.attributes.get("in_host_transaction", False),
        "render_as_batch": dialect == "sqlite",
        # SQLite rolls DDL back too; the caller's BEGIN IMMEDIATE spans all revisions.
        "transactional_ddl": True,
    }


def run_offline() -> None:
    """Write the statements instead of running them; no database is needed."""
    dialect = context.config.attributes.get("dialect") or database_url().get_backend_name()
    context.configure(
        dialect_name=dialect,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options(dialect),
    )
    if schema := context.config.attributes.get("schema"):
        # What `schema_translate_map` does for statements that are run.
        preparer = context.get_context().dialect.identifier_preparer
        preparer.schema_for_object = lambda item: item.schema or schema
    with context.begin_transaction():
        if dialect == "postgresql":
            set_time_outs(context.config.attributes.get("limits", DEFAULT_LIMITS))
        context.run_migrations()


def set_time_outs(limits: Limits) -> None:
    """Let no statement of a script wait for a lock for long, with readers queued behind it."""
    context.execute(f"SET LOCAL lock_timeout = '{milliseconds(limits.lock_timeout)}'")
    context.execute(f"SET LOCAL statement_timeout = '{milliseconds(limits.statement_timeout)}'")


def run_online(connection: Connection) -> None:
    """Run the revisions in the transaction that the connection is in."""
    context.configure(connection=connection, **options(connection.dialect.name))
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def own_connection() -> Generator[Connection]:
    """Connect for the bare command, in one transaction."""
    engine = make_sync_engine(database_url(), Settings(statement_timeout=None))
    with engine.begin() as connection:
        yield connection


def main() -> None:
    """Run as the configuration says."""
    handed_in = context.config.attributes.get("connection")
    if context.is_offline_mode():
        run_offline()
    elif handed_in is not None:
        run_online(handed_in)
    else:
        with own_connection() as connection:
            run_online(connection)


main()
