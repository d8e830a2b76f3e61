"""Sessions and engines of a host."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from agentdb import Database, UnitOfWork, configure
from agentdb.errors import (
    ConfigurationError,
    TenantMismatchError,
)
from agentdb.urls import async_url
from tests.test_database import make, slugs


async def test_a_host_joins_its_own_transaction(agentdb_url: str) -> None:
    """The unit works in the host's session; the host commits, or nothing is stored."""
    engine = create_async_engine(async_url(agentdb_url))
    configure(engine)
    configure(engine)
    for end_it in (AsyncSession.rollback, AsyncSession.commit):
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await make(UnitOfWork(session, system="the host's job"))
            await end_it(session)
        async with Database(agentdb_url) as database:
            expected = {"acme"} if end_it is AsyncSession.commit else set[str]()
            assert await slugs(database) == expected
    await engine.dispose()


async def test_a_session_of_an_engine_that_was_not_configured_is_refused(agentdb_url: str) -> None:
    """Its errors, forks and locks would not be what agentdb promises."""
    engine = create_async_engine(async_url(agentdb_url))
    async with AsyncSession(engine) as session:
        with pytest.raises(ConfigurationError, match=r"agentdb\.configure"):
            UnitOfWork(session, system="the host's job")
    await engine.dispose()


async def test_a_session_belongs_to_one_tenant(agentdb_session: AsyncSession) -> None:
    """A second unit over the same session has the same tenant."""
    UnitOfWork(agentdb_session, tenant=UUID(int=1))
    UnitOfWork(agentdb_session, tenant=UUID(int=1))

    with pytest.raises(TenantMismatchError):
        UnitOfWork(agentdb_session, tenant=UUID(int=2))
    with pytest.raises(TenantMismatchError):
        UnitOfWork(agentdb_session, system="all of them")


@pytest.mark.parametrize("dialect", ["mysql+pymysql://h/d", "sqlite+pysqlcipher://"])
def test_an_engine_of_another_database_is_not_configured(dialect: str) -> None:
    """Configure takes PostgreSQL with psycopg and SQLite alone."""
    engine: Any = type("Engine", (), {"url": make_url(dialect)})()

    with pytest.raises(ConfigurationError):
        configure(engine)
