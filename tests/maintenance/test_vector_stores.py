from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agentdb import Database
from agentdb.maintenance import Report, expire_vector_stores, purge_deleted
from agentdb.maintenance.containers import DeletedContainers
from agentdb.maintenance.vector_stores import DeletedFiles, DeletedStores, ExpiredStores
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.maintenance.reports import found
from tests.plans import plans_of

DAY = timedelta(days=1)
YEAR = 365 * DAY


async def test_stores_expire(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Live ones past their time; those without a time, or expired already, stay as they are."""
    now = utc_now()
    due = [agentdb_make.vector_store(expires_at=now - day) for day in (DAY, 9 * DAY)]
    agentdb_make.vector_store(expires_at=now - DAY, status="expired")
    agentdb_make.vector_store(expires_at=now - DAY, deleted_at=now)
    agentdb_make.vector_store(expires_at=now + DAY)
    agentdb_make.vector_store()
    old = await expire_vector_stores(agentdb_database, older_than=7 * DAY, dry_run=True)
    dry = await expire_vector_stores(agentdb_database, dry_run=True, batch=1)

    assert old.counts == {"expired": 1}
    assert dry == await expire_vector_stores(agentdb_database, batch=2)
    assert dry == Report({"expired": 2}, done=True)
    assert await expire_vector_stores(agentdb_database) == Report({"expired": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        rows = await uow.vector_stores.get_many([row.id for row in due])
        assert {row.status for row in rows.values()} == {"expired"}


async def test_one_tenants_stores_expire(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Those of others stay; a limit of batches ends it early."""
    now = utc_now()
    for _ in range(3):
        agentdb_make.vector_store(expires_at=now - DAY)
    other = agentdb_make.vector_store(
        tenant_id=agentdb_make.tenant_account().id, expires_at=now - DAY
    )
    mine = agentdb_make.tenant.id
    part = await expire_vector_stores(agentdb_database, tenant_id=mine, batch=2, max_batches=1)

    assert part == Report({"expired": 2}, done=False)
    assert (await expire_vector_stores(agentdb_database, tenant_id=mine)).counts == {"expired": 1}
    async with agentdb_database.read(reason="test") as uow:
        assert (await uow.vector_stores.require(other.id)).status == other.status != "expired"


@pytest.mark.agentdb_commits
async def test_several_processes_expire_each_store_once(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """What one changes, another skips or finds changed."""
    for _ in range(20):
        agentdb_make.vector_store(expires_at=utc_now() - DAY)

    async def expire(_: int) -> int:
        return (await expire_vector_stores(agentdb_database, batch=3)).counts["expired"]

    outcomes = await run_concurrently(4, expire, database=agentdb_database)
    left = await expire_vector_stores(agentdb_database)

    assert sum(outcomes.results) + left.counts["expired"] == 20


async def left(database: Database) -> dict[str, set[UUID]]:
    """Return the containers, stores and files that there are, deleted ones too."""
    async with database.read(reason="test") as uow:
        return {
            name: {row.id for row in await getattr(uow, name).all(include_deleted=True)}
            for name in ("containers", "vector_stores", "vector_store_files")
        }


async def test_deleted_stores_containers_and_files_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Those deleted long ago, a store with all its files; the bindings of others stay."""
    old, now = utc_now() - YEAR, utc_now()
    gone = agentdb_make.vector_store(deleted_at=old)
    for at in (old, now, None):
        agentdb_make.vector_store_file(vector_store=gone, deleted_at=at)
    live, late = agentdb_make.vector_store(), agentdb_make.vector_store(deleted_at=now)
    agentdb_make.vector_store_file(vector_store=live, deleted_at=old)
    kept_files = [
        agentdb_make.vector_store_file(vector_store=store, deleted_at=at)
        for store, at in ((live, None), (live, now), (late, now))
    ]
    agentdb_make.container(deleted_at=old)
    kept = [agentdb_make.container(deleted_at=at) for at in (None, now)]
    agentdb_make.agent_vector_store(vector_store=live)
    dry = await purge_deleted(agentdb_database, dry_run=True)

    assert dry == await purge_deleted(agentdb_database, batch=2)
    assert found(dry) == {"containers": 1, "vector_store_files": 4, "vector_stores": 1}
    assert found(await purge_deleted(agentdb_database)) == {}
    assert await left(agentdb_database) == {
        "containers": {row.id for row in kept},
        "vector_stores": {live.id, late.id},
        "vector_store_files": {row.id for row in kept_files},
    }


@pytest.mark.parametrize("max_batches", range(1, 9))
async def test_a_limited_purge_is_counted_before(
    agentdb_database: Database, agentdb_make: Factory, max_batches: int
) -> None:
    """Wherever the limit falls, in batches that find nothing too."""
    old = utc_now() - YEAR
    for number in range(3):
        at = old if number == 1 else None
        agentdb_make.container(deleted_at=at)
        store = agentdb_make.vector_store(deleted_at=at)
        agentdb_make.vector_store_file(vector_store=store, deleted_at=at)
    limits: Any = {"batch": 2, "max_batches": max_batches}
    dry = await purge_deleted(agentdb_database, dry_run=True, **limits)

    assert dry == await purge_deleted(agentdb_database, **limits)


async def test_what_verbs_deleted_is_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A store with its files and bindings, a container; the others of the tenant stay."""
    store, container = agentdb_make.vector_store(), agentdb_make.container()
    agentdb_make.vector_store_file(vector_store=store)
    agentdb_make.agent_vector_store(vector_store=store)
    agentdb_make.agent_container(container=container)
    other = agentdb_make.tenant_account()
    stay = agentdb_make.vector_store(tenant_id=other.id, deleted_at=utc_now() - YEAR)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.vector_stores.soft_delete(store.id)
        await uow.containers.soft_delete(container.id)
    mine = agentdb_make.tenant.id
    report = await purge_deleted(agentdb_database, older_than=timedelta(0), tenant_id=mine)

    assert found(report) == {"containers": 1, "vector_store_files": 1, "vector_stores": 1}
    assert (await left(agentdb_database))["vector_stores"] == {stay.id}


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_files_of_a_locked_store_stay_with_it(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Who holds the store may attach them again; the next purge finds what this one left."""
    old = utc_now() - YEAR
    store = agentdb_make.vector_store(deleted_at=old)
    agentdb_make.vector_store_file(vector_store=store, deleted_at=old)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.vector_stores.require(store.id, lock=True, include_deleted=True)

        assert found(await purge_deleted(agentdb_database)) == {}
    report = await purge_deleted(agentdb_database)
    assert found(report) == {"vector_store_files": 1, "vector_stores": 1}


@pytest.mark.agentdb_commits
async def test_a_file_is_attached_again_while_it_is_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whichever comes first: afterwards it is there, and counts."""
    tenant, old = agentdb_make.tenant.id, utc_now() - YEAR
    with agentdb_make.transaction():
        store = agentdb_make.vector_store()
        files = [
            agentdb_make.vector_store_file(vector_store=store, deleted_at=old) for _ in range(20)
        ]

    async def call(number: int) -> None:
        if number < 2:
            await purge_deleted(agentdb_database, batch=1)
            return
        for row in files[number - 2 :: 2]:
            async with agentdb_database.begin(tenant=tenant) as uow:
                file = (row.openai_file_id, row.filename)
                await uow.vector_store_files.attach(store.id, *file, usage_bytes=10)

    outcomes = await run_concurrently(4, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.vector_store_files.count() == 20
        assert (await uow.vector_stores.require(store.id)).usage_bytes == 200


@pytest.mark.agentdb_plans
@pytest.mark.parametrize("sweep", [DeletedContainers, DeletedFiles, DeletedStores, ExpiredStores])
async def test_a_batch_follows_the_key(
    agentdb_database: Database, agentdb_make: Factory, sweep: type[DeletedStores]
) -> None:
    """No batch reads more of the table than it looks at, nor another table from end to end."""
    old = utc_now() - YEAR
    for at in (old, None):
        store = agentdb_make.vector_store(deleted_at=at, expires_at=old)
        agentdb_make.vector_store_file(vector_store=store, deleted_at=at)
        agentdb_make.container(deleted_at=at)
    table = sweep.model.__tablename__
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, sweep(None, DAY).change(uow, None, 10))
        plans += await plans_of(uow, sweep(None, DAY).count(uow, 10))

    assert f"pk_{table}" in plans[0].indexes
    assert f"pk_{table}" in plans[-1].indexes
    for plan in plans:
        assert plan.scans <= {table}
