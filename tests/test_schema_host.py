"""A schema on an engine of the host, whose transactions and search path stay the host's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from agentdb import Database, UnitOfWork, configure
from agentdb.auth.models import User
from agentdb.errors import ConfigurationError
from agentdb.models import TenantAccount
from agentdb.urls import async_url, sync_url
from tests.rows import rows_of, snapshot, store
from tests.schemas import run_sql

pytestmark = pytest.mark.agentdb_only("postgres")

SHOW_PATH = text("SELECT current_setting('search_path')")


class HostBase(DeclarativeBase):
    """A host that keeps its tables elsewhere names their schema."""

    metadata = MetaData(schema="public")


class Ticket(HostBase):
    """A table of the host."""

    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


@asynccontextmanager
async def host_engine(url: str, **arguments: Any) -> AsyncGenerator[AsyncEngine]:
    """Yield an engine of a host whose agentdb lies in the schema ``app``; citext lies apart."""
    run_sql(url, "CREATE SCHEMA extensions")
    run_sql(url, "CREATE EXTENSION citext SCHEMA extensions")
    async with Database(url, schema="app") as database:
        await database.upgrade()
    engine = create_async_engine(async_url(url), **arguments)
    configure(engine, schema="app")
    yield engine
    await engine.dispose()


async def test_nothing_of_ours_is_found_by_the_search_path(agentdb_empty_url: str) -> None:
    """All 46 tables are written and read under a path that does not have the schema."""
    path = {"options": "-csearch_path=pg_catalog"}
    async with (
        host_engine(agentdb_empty_url, connect_args=path) as engine,
        AsyncSession(engine) as session,
    ):
        unit = UnitOfWork(session, system="test")
        await session.run_sync(store, rows_of("alpha").values())
        content = await (await session.connection()).run_sync(snapshot)
        user = await unit.users.find(User.email == rows_of("alpha")["users"].email.upper())

        assert len({table for table, _ in content}) == len(content) == 46
        assert user is not None
        shown = (await session.execute(SHOW_PATH)).scalar_one()
        assert shown == "pg_catalog, extensions"


async def test_an_empty_search_path_gets_citext_as_well(agentdb_empty_url: str) -> None:
    """As hardened roles have it."""
    run_sql(agentdb_empty_url, "CREATE TABLE tickets (id int PRIMARY KEY, title text)")
    async with (
        host_engine(agentdb_empty_url, connect_args={"options": "-csearch_path="}) as engine,
        engine.connect() as connection,
    ):
        assert (await connection.execute(SHOW_PATH)).scalar_one() == "extensions"


async def test_the_sql_of_the_host_means_what_it_meant(agentdb_empty_url: str) -> None:
    """One transaction, rows of both, and the host's text and models reach the host's tables."""
    async with (
        host_engine(agentdb_empty_url) as engine,
        AsyncSession(engine, expire_on_commit=False) as session,
    ):
        async with engine.begin() as connection:
            await connection.run_sync(HostBase.metadata.create_all)
        async with session.begin():
            await UnitOfWork(session, system="test").tenant_accounts.create("Acme", "acme")
            session.add(Ticket(id=1, title="one"))
            await session.flush()
            await session.execute(text("INSERT INTO tickets VALUES (2, 'two')"))

        async with session.begin():
            assert await session.scalar(select(func.count()).select_from(Ticket)) == 2
            assert await session.scalar(text("SELECT count(*) FROM app.tenant_accounts")) == 1
            assert await session.scalar(SHOW_PATH) == '"$user", public, extensions'


async def test_a_synchronous_engine_of_the_host_follows_the_schema(agentdb_empty_url: str) -> None:
    """Scripts of the host read our models with the same meaning, without case included."""
    async with host_engine(agentdb_empty_url):
        engine = create_engine(sync_url(agentdb_empty_url))
    configure(engine, schema="app")
    with Session(engine) as session, session.begin():
        store(session, [rows_of("alpha")["users"]])
        found = session.scalars(select(User).where(User.email == "ALPHA@EMAIL.EXAMPLE"))
        assert len(found.all()) == 1
    engine.dispose()


async def test_a_session_that_replaces_the_schema_is_refused(agentdb_empty_url: str) -> None:
    """Else our statements would mean whatever its search path finds first."""
    async with host_engine(agentdb_empty_url) as engine, AsyncSession(engine) as session:
        with pytest.raises(ConfigurationError):
            await session.connection(execution_options={"schema_translate_map": {None: "public"}})


def test_an_engine_has_one_schema() -> None:
    """Configuring it again does nothing, and for another schema is refused."""
    engine = create_engine("postgresql+psycopg://")
    configure(engine, schema="app")
    configure(engine, schema="app")
    with pytest.raises(ConfigurationError):
        configure(engine, schema="other")
    with pytest.raises(ConfigurationError):
        configure(engine)


def test_a_map_of_the_host_is_kept_unless_it_contradicts() -> None:
    """Names of the host's own go on to mean what the host says."""
    engine = create_engine(
        "postgresql+psycopg://", execution_options={"schema_translate_map": {"tenant": "t1"}}
    )
    configure(engine, schema="app")
    other = create_engine(
        "postgresql+psycopg://", execution_options={"schema_translate_map": {None: "public"}}
    )

    kept = engine.get_execution_options()["schema_translate_map"]
    assert dict(kept) == {"tenant": "t1", None: "app"}
    with pytest.raises(ConfigurationError):
        configure(other, schema="app")


async def test_a_host_without_a_schema_is_left_as_it_was(agentdb_url: str) -> None:
    """No option, and no statement in front of the host's own."""
    engine = create_async_engine(async_url(agentdb_url))
    configure(engine)
    async with AsyncSession(engine) as session:
        assert await session.scalar(SHOW_PATH) == '"$user", public'
        assert await session.scalar(select(func.count()).select_from(TenantAccount)) == 0
    assert "schema_translate_map" not in engine.get_execution_options()
    await engine.dispose()
