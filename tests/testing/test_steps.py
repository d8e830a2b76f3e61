from __future__ import annotations

import asyncio
from itertools import permutations

import pytest
from sqlalchemy import text

from agentdb.database import Database
from agentdb.errors import DeadlineError, DuplicateError, TransientError
from agentdb.models import TenantAccount
from agentdb.testing import Pause, StepRunner, StepState

pytestmark = pytest.mark.agentdb_commits

PAUSED, WAITING, DONE = StepState.PAUSED, StepState.WAITING, StepState.DONE


async def locked(database: Database, tenant: TenantAccount, name: str, pause: Pause) -> str:
    """Lock a row, and append to its name in another step."""
    async with database.begin(tenant=tenant.id) as unit:
        row = await unit.tenant_accounts.require(tenant.id, lock=True)
        await pause()
        row.name += name
    return row.name


def runner_of(database: Database, tenant: TenantAccount) -> StepRunner[str]:
    """Return two sessions that change one row."""
    return StepRunner(
        database,
        one=lambda pause: locked(database, tenant, "1", pause),
        two=lambda pause: locked(database, tenant, "2", pause),
    )


async def name_of(database: Database, tenant: TenantAccount) -> str:
    """Return the name that is stored."""
    async with database.read(tenant=tenant.id) as unit:
        return (await unit.tenant_accounts.require(tenant.id)).name


async def test_a_session_that_meets_a_lock_waits(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It stays there however often it is asked, and goes on in the step that frees the lock."""
    async with runner_of(agentdb_database, agentdb_tenant) as runner:
        order = ["one", "two", "two", "one"]
        assert await runner.run(order) == [PAUSED, WAITING, WAITING, DONE]
        assert runner.state("two") is PAUSED
        assert await runner.step("two") is DONE

        results = await runner.finish()

    name = agentdb_tenant.name
    assert results == {"one": f"{name}1", "two": f"{name}12"}
    assert await name_of(agentdb_database, agentdb_tenant) == f"{name}12"


async def test_every_interleaving_gives_the_same_states_in_every_run(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """All orders of two sessions of two steps; who begins first is named first."""
    for order in sorted(set(permutations(["one", "one", "two", "two"]))):
        found: list[list[StepState]] = []
        for _ in range(2):
            async with runner_of(agentdb_database, agentdb_tenant) as runner:
                found.append(await runner.run(order))
                results = await runner.finish()
            assert all(isinstance(result, str) for result in results.values())
        assert found[0] == found[1]
        first = await name_of(agentdb_database, agentdb_tenant)
        assert first.endswith("12" if order[0] == "one" else "21")


async def test_sessions_that_meet_no_lock_only_pause(agentdb_database: Database) -> None:
    """Readers do not wait for a writer."""

    async def read(pause: Pause) -> int:
        async with agentdb_database.read(reason="test") as unit:
            await pause()
            return await unit.tenant_accounts.count()

    async def write(pause: Pause) -> int:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.create("Acme", "acme")
            await pause()
        return 0

    async with StepRunner(agentdb_database, reader=read, writer=write) as runner:
        order = ["writer", "reader", "reader", "writer"]
        assert await runner.run(order) == [PAUSED, PAUSED, DONE, DONE]
        assert await runner.finish() == {"reader": 0, "writer": 0}


async def test_a_unique_key_is_waited_for(agentdb_database: Database) -> None:
    """The second of two equal keys waits for the first, and learns that it is taken."""

    async def create(pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.create("Acme", "acme")
            await pause()

    async with StepRunner(agentdb_database, one=create, two=create) as runner:
        assert await runner.run(["one", "two", "one"]) == [PAUSED, WAITING, DONE]
        assert runner.state("two") is DONE
        results = await runner.finish()

    assert results["one"] is None
    assert isinstance(results["two"], DuplicateError)


@pytest.mark.agentdb_only("postgres")
async def test_a_deadlock_shows_as_two_that_wait(agentdb_database: Database) -> None:
    """Until the server ends one of them."""

    async def lock(first: int, second: int, pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            for number in (first, second):
                query = text("SELECT pg_advisory_xact_lock(:n)")
                await unit.session.execute(query, {"n": number})
                await pause()

    async with StepRunner(
        agentdb_database,
        one=lambda pause: lock(1, 2, pause),
        two=lambda pause: lock(2, 1, pause),
    ) as runner:
        assert await runner.run(["one", "two", "one"]) == [PAUSED, PAUSED, WAITING]
        assert await runner.step("two") in {WAITING, DONE}
        results = await runner.finish()

    kinds = sorted(type(result).__name__ for result in results.values())
    assert kinds == ["NoneType", TransientError.__name__]


async def test_a_session_that_neither_pauses_nor_waits_is_reported(
    agentdb_database: Database,
) -> None:
    """It does not hang the test, nor does one that never ends."""

    async def stuck(_: Pause) -> None:
        await asyncio.Event().wait()

    async with StepRunner(agentdb_database, timeout=0.05, stuck=stuck) as runner:
        with pytest.raises(DeadlineError, match="neither paused nor waits"):
            await runner.step("stuck")
        with pytest.raises(DeadlineError, match="did not end"):
            await runner.finish()


async def test_sessions_are_cancelled_with_their_block(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Their locks are free for what follows."""
    async with runner_of(agentdb_database, agentdb_tenant) as runner:
        assert await runner.run(["one", "two"]) == [PAUSED, WAITING]
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await unit.tenant_accounts.require(agentdb_tenant.id, lock=True)

    assert await name_of(agentdb_database, agentdb_tenant) == agentdb_tenant.name
