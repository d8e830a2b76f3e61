from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.containers.models import Container
from agentdb.errors import (
    DuplicateError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    QuotaExceededError,
)
from agentdb.models import TenantAccount
from agentdb.testing import Factory, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_a_container_is_stored_and_found_by_its_name(agentdb_uow: UnitOfWork) -> None:
    """Names are trimmed, in the verb and in the look-up."""
    row = await agentdb_uow.containers.create("cntr_1", "  build   box ", memory_limit="4g")

    assert (row.name, row.memory_limit, row.status) == ("build box", "4g", "running")
    found = await agentdb_uow.containers.by_name("build box ")
    assert found is row
    assert await agentdb_uow.containers.by_name("other") is None


async def test_a_name_is_taken_while_its_container_lives(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By one live container of a tenant; deletion frees it, and other tenants have their own."""
    containers = agentdb_uow.containers
    other = agentdb_make.tenant_account()
    agentdb_make.container(tenant_id=other.id, name="box")
    first = await containers.create("cntr_1", "box")
    for openai_id, name in (("cntr_2", "box"), ("cntr_1", "crate")):
        with pytest.raises(DuplicateError):
            await containers.create(openai_id, name)
    assert await containers.soft_delete(first.id)
    second = await containers.create("cntr_2", "box")

    assert await containers.by_name("box") is second
    assert await containers.count() == 1


async def test_a_deleted_container_is_hidden_and_unbound(agentdb_uow: UnitOfWork) -> None:
    """The first time stays; an unknown id is no container."""
    containers = agentdb_uow.containers
    row = await containers.create("cntr_1", "box")
    await agentdb_uow.agent_containers.bind("triage", row.id)

    assert await containers.soft_delete(row.id, now=NOON)
    assert not await containers.soft_delete(row.id, now=NOON + timedelta(days=1))
    deleted = await containers.require(row.id, include_deleted=True)
    assert (deleted.status, deleted.deleted_at) == ("deleted", NOON)
    assert await containers.get(row.id) is None
    assert await agentdb_uow.agent_containers.count() == 0
    with pytest.raises(NotFoundError):
        await containers.soft_delete(uuid4())


async def test_the_last_use_never_moves_back(agentdb_uow: UnitOfWork) -> None:
    """Reports that arrive late change nothing; a deleted container is not in use."""
    containers = agentdb_uow.containers
    row = await containers.create("cntr_1", "box")
    moved = [
        await containers.touch(row.id, NOON + timedelta(minutes=minutes))
        for minutes in (5, 3, 5, 6)
    ]

    assert moved == [True, False, False, True]
    assert row.last_active_at == NOON + timedelta(minutes=6)
    with pytest.raises(NaiveDatetimeError):
        await containers.touch(row.id, NOON.replace(tzinfo=None))
    await containers.soft_delete(row.id)
    with pytest.raises(NotFoundError):
        await containers.touch(row.id, NOON)


async def test_bad_values_are_refused_and_the_unit_goes_on(agentdb_uow: UnitOfWork) -> None:
    """Nothing is stored of them."""
    create = agentdb_uow.containers.create
    with pytest.raises(InvalidValueError):
        await create("cntr_1", "  ")
    with pytest.raises(InvalidValueError):
        await create("cntr_1", "box", memory_limit="2g")
    with pytest.raises(NotFoundError):
        await create("cntr_1", "box", owner_user_id=uuid4())
    await create("cntr_1", "box")

    assert await agentdb_uow.containers.count() == 1


@pytest.mark.agentdb_commits
async def test_concurrent_callers_keep_to_the_quota(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight create at once where three may be: three are stored."""

    async def create(number: int) -> Container:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return await uow.containers.create(f"cntr_{number}", f"box {number}", max_live=3)

    outcomes = await run_concurrently(8, create, database=agentdb_database)

    assert len(outcomes.results) == 3
    assert {type(error) for error in outcomes.errors} == {QuotaExceededError}


@pytest.mark.agentdb_commits
async def test_of_concurrent_containers_of_one_name_one_is_stored(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The others are refused; a deleted one with the name does not count."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        old = await uow.containers.create("cntr_old", "box")
        await uow.containers.soft_delete(old.id)

    async def create(number: int) -> Container:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return await uow.containers.create(f"cntr_{number}", "box", max_live=None)

    outcomes = await run_concurrently(8, create, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {DuplicateError}
