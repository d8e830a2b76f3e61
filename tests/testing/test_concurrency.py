from __future__ import annotations

import asyncio

import pytest

from agentdb.database import Database
from agentdb.errors import ConfigurationError
from agentdb.testing import run_concurrently


@pytest.mark.agentdb_commits
async def test_callers_start_together_on_connections_of_their_own(
    agentdb_database: Database,
) -> None:
    """No caller is at work before all are there, and their outcomes are told apart."""
    meeting = asyncio.Barrier(4)

    async def call(number: int) -> str:
        async with agentdb_database.read(reason="test") as unit:
            await unit.tenant_accounts.count()
            await meeting.wait()  # passed by four open transactions alone
        async with agentdb_database.begin_system(reason="test") as unit:
            row = await unit.tenant_accounts.create("Acme", f"acme-{number}")
            if number == 2:
                raise LookupError(number)
        return row.slug

    outcomes = await run_concurrently(4, call, database=agentdb_database)

    assert outcomes.results == ["acme-0", "acme-1", "acme-3"]
    (error,) = outcomes.errors
    assert outcomes == ["acme-0", "acme-1", error, "acme-3"]
    assert isinstance(error, LookupError)


async def test_callers_without_connections_of_their_own_are_refused(
    agentdb_database: Database,
) -> None:
    """The error names the marker, before anything overlaps."""

    async def call(_: int) -> None:
        raise AssertionError("nothing may run")

    with pytest.raises(ConfigurationError, match="agentdb_commits"):
        await run_concurrently(2, call, database=agentdb_database)


async def test_a_database_in_memory_has_one_connection() -> None:
    """Callers take turns on it."""
    async with Database("sqlite://") as database:
        await database.upgrade()

        async def call(number: int) -> int:
            async with database.begin_system(reason="test") as unit:
                await unit.tenant_accounts.create("Acme", f"acme-{number}")
            return number

        assert await run_concurrently(3, call, database=database) == [0, 1, 2]
