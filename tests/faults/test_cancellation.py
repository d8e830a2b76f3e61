"""What a cancelled task leaves behind: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentdb import Database, Settings
from tests.faults.activity import activity, run_statement
from tests.test_database import make, slugs

commits = pytest.mark.agentdb_commits
postgres = pytest.mark.agentdb_only("postgres")
sqlite = pytest.mark.agentdb_only("sqlite")


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) "
    "SELECT count(*) FROM n"
)


@postgres
async def test_a_cancelled_statement_ends_on_the_server_too(agentdb_url: str) -> None:
    """Neither it nor its transaction is left behind."""
    async with Database(agentdb_url) as database:
        started = asyncio.Event()

        async def unit() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                started.set()
                await run_statement(unit, "SELECT pg_sleep(600)")

        task = asyncio.create_task(unit())
        await started.wait()
        for _ in range(1000):
            if any("pg_sleep" in statement for _, statement in await activity(agentdb_url)):
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert {state for state, _ in await activity(agentdb_url)} <= {"idle"}
        assert await slugs(database) == set()


@sqlite
async def test_a_cancelled_statement_frees_the_file(agentdb_url: str) -> None:
    """It is interrupted in its thread, so that the next writer does not wait for its end."""
    async with Database(agentdb_url, settings=Settings(busy_timeout=20)) as database:

        async def unit() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await run_statement(unit, ENDLESS)

        await cancelled_at_work(unit())
        async with asyncio.timeout(10), database.begin_system(reason="test") as unit_after:
            await make(unit_after)


async def cancelled_at_work(work: Any) -> None:
    """Cancel *work* in the midst of a long statement."""
    task = asyncio.ensure_future(work)
    for _ in range(2000):
        await asyncio.sleep(0)
    await asyncio.wait({task}, timeout=0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_database_in_memory_outlives_a_cancelled_unit() -> None:
    """It is its connection, which therefore is kept; the unit is rolled back."""
    async with Database("sqlite://") as database:
        await database.upgrade()
        async with database.begin_system(reason="test") as unit:
            await make(unit, "kept")

        async def work() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await run_statement(unit, ENDLESS)

        await cancelled_at_work(work())
        assert await slugs(database) == {"kept"}
        async with database.begin_system(reason="test") as unit:
            await make(unit)


@commits
async def test_a_cancellation_that_waits_is_heard_before_commit(
    agentdb_database: Database,
) -> None:
    """A task that was cancelled before its block ended stores nothing."""

    async def unit() -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            await make(unit)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(unit())

    assert await slugs(agentdb_database) == set()


@postgres
async def test_cancelled_units_leave_no_transaction_open(agentdb_url: str) -> None:
    """Cancelled at any step, a unit has committed as a whole or not at all."""
    async with Database(agentdb_url, settings=Settings(pool_size=3, max_overflow=0)) as database:

        async def unit(number: int) -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit, f"a{number}")
                await make(unit, f"b{number}")

        for delay in range(40):
            task = asyncio.create_task(unit(delay))
            await asyncio.wait({task}, timeout=delay / 2500)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        stored = await slugs(database)
        idle = {state for state, _ in await activity(agentdb_url)}

    assert idle <= {"idle"}
    assert {s[1:] for s in stored if s.startswith("a")} == {
        s[1:] for s in stored if s.startswith("b")
    }
