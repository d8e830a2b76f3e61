from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    QuotaExceededError,
    ValueOutOfRangeError,
)
from agentdb.models import TenantAccount
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from agentdb.vector_stores.names import DELETED_NAME
from tests.plans import plans_of, sorts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG = "x" * 128


async def test_a_store_is_stored_and_found_by_its_name(agentdb_uow: UnitOfWork) -> None:
    """Names are trimmed, in the verb and in the look-up; ids and live names are taken once."""
    stores = agentdb_uow.vector_stores
    row = await stores.create("vs_1", " Manuals  2026", description="All of them")

    assert (row.name, row.status, row.usage_bytes) == ("Manuals 2026", "creating", 0)
    assert await stores.by_name("Manuals 2026 ") is row
    for openai_id, name in (("vs_2", "Manuals 2026"), ("vs_1", "Other")):
        with pytest.raises(DuplicateError):
            await stores.create(openai_id, name)
    with pytest.raises(InvalidValueError):
        await stores.create("vs_2", " ")


@pytest.mark.parametrize("name", ["Manuals", LONG])
async def test_a_deleted_store_gives_its_name_up(agentdb_uow: UnitOfWork, name: str) -> None:
    """It is renamed, as the key of names spans deleted stores; a long name is cut for it."""
    stores = agentdb_uow.vector_stores
    first = await stores.create("vs_1", name, metadata_json={"team": "docs"})
    assert await stores.soft_delete(first.id, now=NOON)
    assert not await stores.soft_delete(first.id)
    second = await stores.create("vs_2", name)
    deleted = await stores.require(first.id, include_deleted=True)

    assert await stores.by_name(name) is second
    assert (deleted.status, deleted.deleted_at) == ("deleted", NOON)
    assert deleted.name == f"{name[:95]}~{first.id.hex}"
    assert deleted.metadata_json == {"team": "docs", DELETED_NAME: name}
    with pytest.raises(NotFoundError):
        await stores.soft_delete(uuid4())


async def test_a_deleted_store_takes_files_and_bindings_along(agentdb_uow: UnitOfWork) -> None:
    """And comes back without them, under its name."""
    stores, files = agentdb_uow.vector_stores, agentdb_uow.vector_store_files
    store = await stores.create("vs_1", "Manuals", metadata_json={"team": "docs"})
    await files.attach(store.id, "file_1", "a.pdf", size_bytes=10)
    await agentdb_uow.agent_vector_stores.bind("triage", store.id)
    await stores.soft_delete(store.id)

    assert await files.count() == await agentdb_uow.agent_vector_stores.count() == 0
    restored = await stores.restore(store.id)
    assert (restored.name, restored.status, restored.deleted_at) == ("Manuals", "in_progress", None)
    assert restored.metadata_json == {"team": "docs"}
    assert restored.usage_bytes == 0
    assert await stores.restore(store.id) is restored
    assert await files.count() == await agentdb_uow.agent_vector_stores.count() == 0


async def test_a_store_cannot_take_back_a_name_that_another_has(agentdb_uow: UnitOfWork) -> None:
    """It stays deleted."""
    stores = agentdb_uow.vector_stores
    first = await stores.create("vs_1", "Manuals")
    await stores.soft_delete(first.id)
    second = await stores.create("vs_2", "Manuals")
    with pytest.raises(DuplicateError):
        await stores.restore(first.id)

    assert await stores.get(first.id) is None
    await stores.soft_delete(second.id)
    assert (await stores.restore(first.id)).name == "Manuals"


async def test_a_name_that_was_not_given_up_is_freed(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Rows of another origin may be deleted and still hold theirs."""
    stores = agentdb_uow.vector_stores
    old = agentdb_make.vector_store(name="Manuals", deleted_at=NOON)
    new, created = await stores.reserve("Manuals")

    assert created
    assert (await stores.require(old.id, include_deleted=True)).metadata_json[
        DELETED_NAME
    ] == "Manuals"
    await stores.soft_delete(new.id)
    assert (await stores.restore(old.id)).name == "Manuals"


async def test_a_reserved_store_gets_its_id_once(agentdb_uow: UnitOfWork) -> None:
    """The same again changes nothing, another is refused."""
    stores = agentdb_uow.vector_stores
    store, created = await stores.reserve("Manuals", description="All")
    again, repeated = await stores.reserve(" Manuals ")

    assert (created, repeated) == (True, False)
    assert again is store
    assert store.openai_id == f"pending:{store.id.hex}"
    for _ in range(2):
        assert (await stores.attach_remote(store.id, "vs_1")).openai_id == "vs_1"
    with pytest.raises(InvalidTransitionError):
        await stores.attach_remote(store.id, "vs_2")
    other, _ = await stores.reserve("Other")
    with pytest.raises(DuplicateError):
        await stores.attach_remote(other.id, "vs_1")
    with pytest.raises(NotFoundError):
        await stores.attach_remote(uuid4(), "vs_3")


async def test_the_figure_of_the_provider_wins(agentdb_uow: UnitOfWork) -> None:
    """Whatever the files add up to; later files count on from it."""
    stores, files = agentdb_uow.vector_stores, agentdb_uow.vector_store_files
    store = await stores.create("vs_1", "Manuals")
    await files.attach(store.id, "file_1", "a.pdf", size_bytes=10)
    row = await stores.set_remote_state(store.id, "completed", usage_bytes=700, last_active_at=NOON)

    assert (row.status, row.usage_bytes, row.last_active_at) == ("completed", 700, NOON)
    await files.attach(store.id, "file_2", "b.pdf", size_bytes=5)
    assert store.usage_bytes == 705
    for usage in (-1, 1.5, "7"):
        with pytest.raises(InvalidValueError):
            await stores.set_remote_state(store.id, "completed", usage_bytes=usage)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
    with pytest.raises(ValueOutOfRangeError):
        await stores.set_remote_state(store.id, "completed", usage_bytes=2**31)
    assert store.usage_bytes == 705


async def test_stores_are_synchronised_in_turns(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The one changed longest ago first, whatever its status, but for expired and deleted ones."""
    now = utc_now()
    rows = [
        agentdb_make.vector_store(status=status, updated_at=now - timedelta(minutes=minutes))
        for status, minutes in (("completed", 9), ("creating", 8), ("expired", 7), ("ready", 6))
    ]
    agentdb_make.vector_store(updated_at=now - timedelta(hours=1), deleted_at=now)
    agentdb_make.vector_store(updated_at=now)
    claim = agentdb_uow.vector_stores.claim_for_sync

    assert [row.id for row in await claim(limit=2, now=now)] == [rows[0].id, rows[1].id]
    (third,) = await claim(now=now)
    assert (third.id, third.updated_at) == (rows[3].id, now)
    assert await claim(now=now) == []
    assert len(await claim(min_age=timedelta(0), now=now + timedelta(seconds=1))) == 4
    for limit in (0, 501, True):
        with pytest.raises(InvalidValueError):
            await claim(limit=limit)


@pytest.mark.agentdb_plans
async def test_a_claim_of_all_tenants_follows_its_index(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """That of live stores by their last change: it reads no more than it takes."""
    for _ in range(3):
        agentdb_make.vector_store()
    async with agentdb_database.begin_system(reason="test") as uow:
        (plan,) = await plans_of(uow, uow.vector_stores.claim_for_sync(limit=2))

    plan.assert_uses_index("ix_vector_stores_sync")
    plan.assert_scans_nothing()
    assert not sorts(plan)


@pytest.mark.agentdb_commits
async def test_one_of_concurrent_callers_makes_the_store(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight reserve one name: all get the same row, and one finds it new."""

    async def reserve(_: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            store, created = await uow.vector_stores.reserve("Manuals", max_live=1)
            return store.id, created

    outcomes = await run_concurrently(8, reserve, database=agentdb_database)

    assert len({key for key, _ in outcomes.results}) == 1
    assert sorted(created for _, created in outcomes.results) == [False] * 7 + [True]


@pytest.mark.agentdb_commits
async def test_concurrent_callers_keep_to_the_quota(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight create or reserve at once where three may be: three are stored."""

    async def make(number: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            if number % 2:
                await uow.vector_stores.reserve(f"Store {number}", max_live=3)
            else:
                await uow.vector_stores.create(f"vs_{number}", f"Store {number}", max_live=3)

    outcomes = await run_concurrently(8, make, database=agentdb_database)

    assert {type(error) for error in outcomes.errors} == {QuotaExceededError}
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.vector_stores.count() == 3


@pytest.mark.agentdb_commits
async def test_no_store_is_claimed_by_two_workers(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight claim at once: each store goes to one, and all are claimed."""
    long_ago = utc_now() - timedelta(hours=1)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        keys = [(await uow.vector_stores.create(f"vs_{n}", f"Store {n}")).id for n in range(20)]
        for key in keys:
            await uow.vector_stores.update(key, updated_at=long_ago)

    async def claim(_: int) -> list[UUID]:
        async with agentdb_database.begin_system(reason="test") as uow:
            return [store.id for store in await uow.vector_stores.claim_for_sync(limit=5)]

    outcomes = await run_concurrently(8, claim, database=agentdb_database)

    claimed = [key for found in outcomes.results for key in found]
    assert outcomes.errors == []
    assert len(claimed) == len(set(claimed))
    async with agentdb_database.begin_system(reason="test") as uow:
        claimed += [store.id for store in await uow.vector_stores.claim_for_sync()]
    assert sorted(claimed) == sorted(keys)
