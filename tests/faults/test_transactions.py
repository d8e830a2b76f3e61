"""What becomes of a unit whose transaction is gone, or may not write."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import (
    AgentDBError,
    PermissionDeniedError,
    UnavailableError,
)
from agentdb.models import TenantAccount
from tests.test_database import make, slugs

commits = pytest.mark.agentdb_commits
postgres = pytest.mark.agentdb_only("postgres")
sqlite = pytest.mark.agentdb_only("sqlite")


@postgres
async def test_a_commit_that_would_store_nothing_is_refused(agentdb_url: str) -> None:
    """PostgreSQL rolls back when it is asked to commit after an error; that is not passed over."""
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        with pytest.raises(AgentDBError, match="rolled back"):
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                with pytest.raises(AgentDBError):
                    await unit.session.execute(text("SELECT 1 / 0"))

        assert "acme" not in await slugs(database)
        async with database.begin_system(reason="test") as unit:
            await make(unit)
        assert "acme" in await slugs(database)


@postgres
async def test_a_statement_after_a_failed_one_is_refused_as_such(agentdb_url: str) -> None:
    """It is no lost connection, so nothing is tried again."""
    tries: list[int] = []

    async def work(unit: UnitOfWork) -> None:
        tries.append(1)
        with pytest.raises(AgentDBError):
            await unit.session.execute(text("SELECT 1 / 0"))
        await unit.session.execute(text("SELECT 1"))

    async with Database(agentdb_url) as database:
        with pytest.raises(AgentDBError, match="25P02"):
            await database.run(work, reason="test")

    assert len(tries) == 1


@sqlite
async def test_a_transaction_that_sqlite_gave_up_stores_nothing(agentdb_url: str) -> None:
    """After a full disk, a unit that goes on regardless neither stores the rest nor commits."""
    async with Database(agentdb_url) as database:
        with pytest.raises(AgentDBError):
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await unit.session.execute(text("PRAGMA max_page_count = 1"))
                with pytest.raises(UnavailableError, match="disk is full"):
                    await unit.tenant_accounts.add_many(
                        TenantAccount(slug=f"s{n}", name="n" * 120) for n in range(3000)
                    )
                with pytest.raises(AgentDBError):
                    await unit.tenant_accounts.count()

        assert await slugs(database) == set()
        async with database.begin_system(reason="test") as unit:
            await make(unit)


@commits
async def test_a_reading_unit_writes_nothing_by_sql_either(agentdb_url: str) -> None:
    """The database refuses it, and the connection writes again in the next unit."""
    statement = "UPDATE billing_plans SET name = 'x'"
    options = {"agentdb_confined": True}
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        with pytest.raises(PermissionDeniedError, match="read"):
            async with database.read(reason="test") as unit:
                await unit.session.execute(text(statement), execution_options=options)
        async with database.begin_system(reason="test") as unit:
            await unit.session.execute(text(statement), execution_options=options)
            await make(unit)
        assert await slugs(database) == {"acme"}
