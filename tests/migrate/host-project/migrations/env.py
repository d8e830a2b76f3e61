"""The host's own environment: that of Alembic's template, and three arguments of `configure`."""

import asyncio
import os

from alembic import context
from planner.database import begin_for_real
from planner.models import Base
from planner.settings import AGENTDB_SCHEMA, PLANNER_SCHEMA
from sqlalchemy import Connection, MetaData, create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from agentdb import migrate
from agentdb.models import Base as AgentdbBase

ASKED = context.get_x_argument(as_dictionary=True)
OURS = migrate.filters(AGENTDB_SCHEMA)


def database_url() -> str:
    """Return the database of the deployment."""
    return context.config.get_main_option("sqlalchemy.url") or os.environ["DATABASE_URL"]


def target_metadata() -> MetaData | list[MetaData]:
    """Return the host's metadata; some hosts add that of the libraries they use."""
    if "with_agentdb" in ASKED:
        return [Base.metadata, AgentdbBase.metadata]
    return Base.metadata


def run_migrations(connection: Connection) -> None:
    """Run the host's revisions."""
    if AGENTDB_SCHEMA and PLANNER_SCHEMA:
        # Our tables are named without a schema, and the host's with theirs.
        connection.execution_options(schema_translate_map={None: AGENTDB_SCHEMA})
    context.configure(
        connection=connection,
        target_metadata=target_metadata(),
        include_object=OURS.include_object,
        include_name=OURS.include_name,
        render_item=OURS.render_item,
        include_schemas=PLANNER_SCHEMA is not None or "include_schemas" in ASKED,
        version_table_schema=PLANNER_SCHEMA,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_offline() -> None:
    """Write a script."""
    context.configure(url=database_url(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Connect, and run the revisions."""
    engine = create_engine(database_url(), poolclass=NullPool)
    begin_for_real(engine)
    with engine.connect() as connection:
        run_migrations(connection)


async def run_online_asynchronously() -> None:
    """Do so with a driver that needs an event loop."""
    engine = create_async_engine(database_url(), poolclass=NullPool)
    begin_for_real(engine.sync_engine)
    async with engine.connect() as connection:
        await connection.run_sync(run_migrations)
    await engine.dispose()


if context.is_offline_mode():
    run_offline()
elif make_url(database_url()).get_dialect().is_async:
    asyncio.run(run_online_asynchronously())
else:
    run_online()
