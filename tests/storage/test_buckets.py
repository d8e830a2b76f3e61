from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import true

from agentdb import Database, UnitOfWork
from agentdb.errors import ConflictError, NotFoundError, ReferencedError, ValueTooLongError
from agentdb.models import StorageBucket, TenantAccount
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently
from tests.plans import plans_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


async def defaults(uow: UnitOfWork) -> list[str]:
    """Return the names of the live default buckets."""
    rows = await uow.storage_buckets.all(StorageBucket.is_default == true())
    return sorted(row.bucket_name for row in rows)


async def test_a_bucket_is_made_once(agentdb_uow: UnitOfWork) -> None:
    """The first becomes the default, a later one on request, and a known one keeps its columns."""
    buckets = agentdb_uow.storage_buckets
    first, created = await buckets.get_or_create("s3", "a", region="eu-1", prefix="x/")
    again, twice = await buckets.get_or_create("s3", "a", region="us-1")
    await buckets.get_or_create("s3", "b")

    assert (created, twice) == (True, False)
    assert first is again
    assert (first.region, first.prefix, first.status) == ("eu-1", "x/", "ready")
    assert await defaults(agentdb_uow) == ["a"]
    third, _ = await buckets.get_or_create("gcs", "c", make_default=True)
    assert await buckets.default() is third
    assert await defaults(agentdb_uow) == ["c"]
    await buckets.get_or_create("s3", "a", make_default=True)
    assert first.is_default
    assert await defaults(agentdb_uow) == ["a"]


async def test_a_name_at_another_provider_is_refused(agentdb_uow: UnitOfWork) -> None:
    """Its bytes would go elsewhere; nothing changes."""
    buckets = agentdb_uow.storage_buckets
    row, _ = await buckets.get_or_create("s3", "a")
    await buckets.get_or_create("s3", "b", make_default=True)
    with pytest.raises(ConflictError):
        await buckets.get_or_create("gcs", "a", make_default=True)
    with pytest.raises(ValueTooLongError):
        await buckets.get_or_create("s3", "x" * 129)

    assert row.provider == "s3"
    assert await defaults(agentdb_uow) == ["b"]


async def test_a_deleted_bucket_is_revived_as_it_is_described_now(agentdb_uow: UnitOfWork) -> None:
    """The row is the same, and the default if no other bucket lives."""
    buckets = agentdb_uow.storage_buckets
    row, _ = await buckets.get_or_create("s3", "a", region="eu-1", prefix="x/")
    other, _ = await buckets.get_or_create("s3", "b")
    assert await buckets.soft_delete(row.id)
    assert await buckets.default() is None
    revived, created = await buckets.get_or_create("gcs", "a", region="us-1")

    assert (revived.id, created) == (row.id, False)
    assert (revived.provider, revived.region, revived.prefix) == ("gcs", "us-1", None)
    assert (revived.deleted_at, revived.is_default) == (None, False)
    await buckets.soft_delete(row.id)
    await buckets.soft_delete(other.id)
    assert (await buckets.get_or_create("s3", "a"))[0].is_default


async def test_one_default_is_left_of_several(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Plain inserts may make several: the newest counts, until the verb clears the others."""
    at = NOW
    rows = [
        agentdb_make.storage_bucket(is_default=True, created_at=at + timedelta(days=n))
        for n in range(3)
    ]
    newest = await agentdb_uow.storage_buckets.default()
    chosen = await agentdb_uow.storage_buckets.set_default(rows[1].id)

    assert newest is not None
    assert newest.id == rows[2].id
    assert not newest.is_default  # brought up to date
    assert chosen.id == rows[1].id
    assert await defaults(agentdb_uow) == [rows[1].bucket_name]


async def test_only_an_empty_bucket_is_deleted(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Deleted objects do not count; the first time stays."""
    row = agentdb_make.storage_object()
    buckets = agentdb_uow.storage_buckets
    with pytest.raises(ReferencedError):
        await buckets.soft_delete(row.bucket_id)
    await agentdb_uow.storage_objects.soft_delete(row.id)

    assert await buckets.soft_delete(row.bucket_id, now=NOW)
    assert not await buckets.soft_delete(row.bucket_id)
    assert await buckets.get(row.bucket_id) is None
    kept = await buckets.require(row.bucket_id, include_deleted=True)
    assert kept.deleted_at == NOW
    with pytest.raises(NotFoundError):
        await buckets.set_default(row.bucket_id)


async def test_a_bucket_is_purged_with_its_objects(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Live and deleted ones; the generic verb refuses as long as there are any."""
    row = agentdb_make.storage_object()
    agentdb_make.storage_object(bucket=row.bucket_id, deleted_at=NOW)
    kept = agentdb_make.storage_object()
    buckets = agentdb_uow.storage_buckets
    with pytest.raises(ReferencedError):
        await buckets.delete(row.bucket_id)

    assert await buckets.purge(row.bucket_id)
    assert not await buckets.purge(row.bucket_id)
    left = await agentdb_uow.storage_objects.all(include_deleted=True)
    assert [o.id for o in left] == [kept.id]
    await agentdb_uow.storage_objects.purge(kept.id)
    assert await buckets.delete(kept.bucket_id)


async def test_buckets_of_another_tenant_are_not_there(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One name is a bucket in each tenant; verbs by id find nothing."""
    other = agentdb_make.tenant_account()
    row = agentdb_make.storage_bucket(tenant=other, bucket_name="a", is_default=True)
    buckets = agentdb_uow.storage_buckets
    for key in (row.id, uuid4()):
        with pytest.raises(NotFoundError):
            await buckets.set_default(key)
        with pytest.raises(NotFoundError):
            await buckets.soft_delete(key)
        assert not await buckets.purge(key)
        assert not await buckets.delete(key)
    own, created = await buckets.get_or_create("s3", "a", make_default=True)

    assert created
    assert own.id != row.id
    async with agentdb_database.begin_system(reason="test") as uow:
        found = await uow.storage_buckets.default(tenant_id=other.id)
        assert found is not None
        assert found.id == row.id
        with pytest.raises(NotFoundError):
            await uow.storage_buckets.soft_delete(row.id, tenant_id=agentdb_make.tenant.id)
        assert (await uow.storage_buckets.set_default(row.id)).is_default


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("revives", [False, True])
async def test_eight_concurrent_calls_leave_one_bucket(
    agentdb_database: Database, agentdb_tenant: TenantAccount, revives: bool
) -> None:
    """New or revived; it is the default."""
    tenant = agentdb_tenant.id
    if revives:
        async with agentdb_database.begin(tenant=tenant) as uow:
            row, _ = await uow.storage_buckets.get_or_create("s3", "a")
            await uow.storage_buckets.soft_delete(row.id)

    async def call(_: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=tenant) as uow:
            row, created = await uow.storage_buckets.get_or_create("s3", "a")
            return row.id, created

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len({key for key, _ in outcomes.results}) == 1
    assert [created for _, created in outcomes.results].count(True) == int(not revives)
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.storage_buckets.count(include_deleted=True) == 1
        assert await defaults(uow) == ["a"]


@pytest.mark.agentdb_commits
async def test_eight_concurrent_buckets_leave_one_default(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Whether they ask for it or are only the first."""
    tenant = agentdb_tenant.id

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.storage_buckets.get_or_create("s3", f"b{number}", make_default=number > 4)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.storage_buckets.count() == 8
        assert len(await defaults(uow)) == 1


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("first", ["create", "remove"])
async def test_an_object_is_never_made_in_a_deleted_bucket(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str
) -> None:
    """Whoever comes second waits, and is refused."""
    tenant = agentdb_tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        bucket = (await uow.storage_buckets.get_or_create("s3", "a"))[0].id

    async def create(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.storage_objects.create(bucket, "key", "name")
            await pause()

    async def remove(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.storage_buckets.soft_delete(bucket)
            await pause()

    second = {"create": "remove", "remove": "create"}[first]
    async with StepRunner(agentdb_database, create=create, remove=remove) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes[first] is None
    refused = {"remove": ReferencedError, "create": NotFoundError}[second]
    assert isinstance(outcomes[second], refused)


@pytest.mark.agentdb_plans
async def test_the_default_is_looked_up_by_its_index(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """And so are the others that lose it."""
    row = agentdb_make.storage_bucket()
    looks = await plans_of(agentdb_uow, agentdb_uow.storage_buckets.default())
    looks += await plans_of(agentdb_uow, agentdb_uow.storage_buckets.set_default(row.id))

    looks[0].assert_uses_index("ix_storage_buckets_default")
    for plan in looks:
        plan.assert_scans_nothing()
