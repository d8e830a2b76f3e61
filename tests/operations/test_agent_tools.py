from __future__ import annotations

from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.models import TenantAccount
from agentdb.operations import bind_agent
from agentdb.testing import Factory, run_concurrently


async def test_an_agent_is_bound_to_both_at_once(agentdb_uow: UnitOfWork) -> None:
    """What is not named stays."""
    box = await agentdb_uow.containers.create("cntr_1", "box")
    store = await agentdb_uow.vector_stores.create("vs_1", "Manuals")
    bound = await bind_agent(agentdb_uow, "triage", container_id=box.id, vector_store_id=store.id)
    other = await agentdb_uow.containers.create("cntr_2", "other")
    again = await bind_agent(agentdb_uow, "triage", container_id=other.id)

    assert bound.container is not None
    assert bound.vector_store is not None
    assert again.vector_store is None
    assert await agentdb_uow.agent_containers.by_agent("triage") is other
    assert await agentdb_uow.agent_vector_stores.by_agent("triage") is store
    assert await agentdb_uow.agent_vector_stores.bindings() == {"triage": store}


async def test_an_agent_is_bound_to_both_or_to_neither(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Where one is not found, the other is not bound; the unit goes on."""
    box = await agentdb_uow.containers.create("cntr_1", "box")
    foreign = agentdb_make.vector_store(tenant_id=agentdb_make.tenant_account().id)
    for key in (foreign.id, uuid4()):
        with pytest.raises(NotFoundError):
            await bind_agent(agentdb_uow, "triage", container_id=box.id, vector_store_id=key)
    with pytest.raises(InvalidValueError):
        await bind_agent(agentdb_uow, "triage")

    assert await agentdb_uow.agent_containers.bindings() == {}


@pytest.mark.agentdb_commits
async def test_concurrent_bindings_leave_one_of_each(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight bind one agent to two pairs: all succeed, and nobody waits for ever."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        boxes = [(await uow.containers.create(f"cntr_{n}", f"box {n}")).id for n in range(2)]
        stores = [(await uow.vector_stores.create(f"vs_{n}", f"Store {n}")).id for n in range(2)]

    async def bind(number: int) -> None:
        box, store = boxes[number % 2], stores[number // 2 % 2]
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await bind_agent(uow, "triage", container_id=box, vector_store_id=store)

    outcomes = await run_concurrently(8, bind, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.agent_containers.count() == 1
        assert await uow.agent_vector_stores.count() == 1
