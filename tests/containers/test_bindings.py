from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import NotFoundError, ValueTooLongError
from agentdb.models import TenantAccount
from agentdb.testing import Factory, run_concurrently


async def test_an_agent_uses_the_container_bound_last(agentdb_uow: UnitOfWork) -> None:
    """One for each agent; binding the same again changes nothing."""
    bindings = agentdb_uow.agent_containers
    first = await agentdb_uow.containers.create("cntr_1", "first")
    second = await agentdb_uow.containers.create("cntr_2", "second")
    for container in (first, second, second):
        await bindings.bind("triage", container.id)
    await bindings.bind("coder", first.id)

    assert await bindings.by_agent("triage") is second
    assert await bindings.by_agent("nobody") is None
    assert await bindings.bindings() == {"coder": first, "triage": second}
    assert await bindings.count() == 2


async def test_an_unbound_agent_uses_none(agentdb_uow: UnitOfWork) -> None:
    """Whether it had one is told."""
    bindings = agentdb_uow.agent_containers
    container = await agentdb_uow.containers.create("cntr_1", "box")
    await bindings.bind("triage", container.id)

    assert await bindings.unbind("triage")
    assert not await bindings.unbind("triage")
    assert await bindings.bindings() == {}


async def test_only_live_containers_of_the_tenant_can_be_bound(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Deleted, unknown and foreign ones are not found, and the binding stays."""
    bindings = agentdb_uow.agent_containers
    box = await agentdb_uow.containers.create("cntr_1", "box")
    gone = await agentdb_uow.containers.create("cntr_2", "gone")
    await agentdb_uow.containers.soft_delete(gone.id)
    foreign = agentdb_make.container(tenant_id=agentdb_make.tenant_account().id)
    await bindings.bind("triage", box.id)
    for key in (gone.id, foreign.id, uuid4()):
        with pytest.raises(NotFoundError):
            await bindings.bind("triage", key)
    with pytest.raises(ValueTooLongError):
        await bindings.bind("x" * 65, box.id)

    assert await bindings.by_agent("triage") is box


async def test_a_system_unit_names_the_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """And finds no container of another there."""
    mine, other = agentdb_make.container(), agentdb_make.tenant_account()
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.agent_containers.bind("triage", mine.id, tenant_id=mine.tenant_id)
        with pytest.raises(NotFoundError):
            await uow.agent_containers.bind("triage", mine.id, tenant_id=other.id)
        assert await uow.agent_containers.by_agent("triage", tenant_id=other.id) is None
        found = await uow.agent_containers.by_agent("triage", tenant_id=mine.tenant_id)

    assert found is not None
    assert found.id == mine.id


@pytest.mark.agentdb_commits
async def test_concurrent_bindings_leave_one(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight bind one agent to two containers: all succeed."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        keys = [(await uow.containers.create(f"cntr_{n}", f"box {n}")).id for n in range(2)]

    async def bind(number: int) -> UUID:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return (await uow.agent_containers.bind("triage", keys[number % 2])).container_id

    outcomes = await run_concurrently(8, bind, database=agentdb_database)

    assert sorted(outcomes.results) == sorted(keys * 4)
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.agent_containers.count() == 1


@pytest.mark.agentdb_commits
async def test_a_binding_never_outlives_its_container(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A deletion among bindings takes those before it along and refuses those after."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        key = (await uow.containers.create("cntr_1", "box")).id

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            if number == 4:
                await uow.containers.soft_delete(key)
            else:
                await uow.agent_containers.bind(f"agent-{number}", key)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert {type(error) for error in outcomes.errors} <= {NotFoundError}
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.agent_containers.count() == 0
