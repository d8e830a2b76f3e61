from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agentdb import Database
from agentdb.errors import InvalidTransitionError
from agentdb.maintenance import Report, expire_objects, expire_uploads, purge_deleted
from agentdb.maintenance.runner import Sweep
from agentdb.maintenance.storage import DeletedObjects, ExpiredObjects, PendingUploads
from agentdb.models import StorageObject
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, delete_conversation
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.ledger.conversations import begun
from tests.ledger.frames import frame
from tests.maintenance.reports import found
from tests.plans import plans_of

DAY = timedelta(days=1)
YEAR = 365 * DAY


async def live(database: Database) -> set[UUID]:
    """Return the objects that are not deleted."""
    async with database.read(reason="test") as uow:
        return {row.id for row in await uow.storage_objects.all()}


async def test_uploads_that_do_not_come_are_deleted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whoever was to store the bytes; younger, ready and deleted objects are left alone."""
    now = utc_now()
    old = [
        agentdb_make.storage_object(status=status, created_at=now - 2 * DAY)
        for status in ("pending", "pending_upload")
    ]
    agentdb_make.storage_object(status="pending", created_at=now - 2 * DAY, deleted_at=now)
    kept = [
        agentdb_make.storage_object(status="pending", created_at=now),
        agentdb_make.storage_object(status="ready", created_at=now - YEAR),
    ]
    dry = await expire_uploads(agentdb_database, dry_run=True)

    assert await live(agentdb_database) == {row.id for row in (*old, *kept)}
    assert dry == await expire_uploads(agentdb_database) == Report({"deleted": 2}, done=True)
    assert await live(agentdb_database) == {row.id for row in kept}
    assert found(await expire_uploads(agentdb_database)) == {}
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        row = await uow.storage_objects.require(old[0].id, include_deleted=True)
        assert row.status == "deleted"
        assert row.deleted_at is not None
        assert row.deleted_at >= now
        with pytest.raises(InvalidTransitionError):
            await uow.storage_objects.mark_ready(row.id)


async def test_expired_objects_are_deleted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """In any state; those without an expiry, or with one to come, stay."""
    now = utc_now()
    for status in ("ready", "pending"):
        agentdb_make.storage_object(status=status, expires_at=now - DAY)
    agentdb_make.storage_object(status="ready", expires_at=now - DAY, deleted_at=now)
    kept = [agentdb_make.storage_object(expires_at=at) for at in (now + DAY, None)]

    assert found(await expire_objects(agentdb_database, older_than=7 * DAY)) == {}
    dry = await expire_objects(agentdb_database, dry_run=True)
    assert dry == await expire_objects(agentdb_database) == Report({"deleted": 2}, done=True)
    assert await live(agentdb_database) == {row.id for row in kept}
    assert found(await expire_objects(agentdb_database)) == {}


async def test_deleted_objects_are_purged_and_then_their_buckets(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A bucket goes with the last of its objects; what was deleted lately stays."""
    old, now = utc_now() - YEAR, utc_now()
    full = agentdb_make.storage_bucket(deleted_at=old)
    mixed = agentdb_make.storage_bucket(deleted_at=old)
    agentdb_make.storage_bucket(deleted_at=old)
    late = agentdb_make.storage_bucket(deleted_at=now)
    for bucket in (full, full, mixed, late):
        agentdb_make.storage_object(bucket=bucket, deleted_at=old, status="deleted")
    kept = agentdb_make.storage_object(bucket=mixed, deleted_at=now, status="deleted")
    agentdb_make.storage_object()
    dry = await purge_deleted(agentdb_database, dry_run=True)

    assert dry == await purge_deleted(agentdb_database, batch=2)
    assert found(dry) == {"storage_objects": 4, "storage_buckets": 2}
    assert found(await purge_deleted(agentdb_database)) == {}
    async with agentdb_database.read(reason="test") as uow:
        left = await uow.storage_buckets.all(include_deleted=True)
        assert {mixed.id, late.id} <= {row.id for row in left}
        assert len(left) == 3
        gone = await uow.storage_objects.all(
            StorageObject.deleted_at.is_not(None), include_deleted=True
        )
        assert [row.id for row in gone] == [kept.id]


async def test_frames_of_purged_objects_become_tombstones(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Objects that a host has deleted under their frames; the replay goes on over them."""
    tenant = agentdb_make.tenant.id
    given = [frame(1), frame(2, text="x" * 900), frame(3, text="x" * 900)]
    async with agentdb_database.begin(tenant=tenant) as uow:
        await begun(uow)
        store = MemoryObjectStore()
        await append_ledger(uow, "chat", given, store=store, inline_limit=500)
        for row in await uow.storage_objects.all():
            await uow.storage_objects.soft_delete(row.id, now=utc_now() - YEAR)
        bucket = await uow.storage_buckets.default()
        assert bucket is not None
        await uow.storage_buckets.soft_delete(bucket.id, now=utc_now() - YEAR)
    dry = await purge_deleted(agentdb_database, dry_run=True)

    assert dry == await purge_deleted(agentdb_database, batch=1)
    assert found(dry) == {"storage_objects": 2, "tombstones": 2, "storage_buckets": 1}
    async with agentdb_database.read(tenant=tenant) as uow:
        page = await uow.conversation_ledger_events.replay("chat")
        purged = [frame(n, payload_purged=True) for n in (2, 3)]
        assert [item.payload for item in page] == [frame(1), *purged]


async def test_what_a_deletion_leaves_is_what_the_purge_takes(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Objects of a deleted conversation go as soon as they are old enough, without tombstones."""
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await begun(uow)
        large, store = frame(1, text="x" * 900), MemoryObjectStore()
        await append_ledger(uow, "chat", [large], store=store, inline_limit=500)
        await delete_conversation(uow, "chat")

    assert found(await purge_deleted(agentdb_database)) == {}
    report = await purge_deleted(agentdb_database, older_than=timedelta(0))
    assert found(report) == {"storage_objects": 1}


async def test_a_tenants_sweep_leaves_the_others_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Uploads, expired and deleted objects, and buckets."""
    other, old = agentdb_make.tenant_account(), utc_now() - YEAR
    for tenant in (agentdb_make.tenant, other):
        agentdb_make.storage_object(tenant=tenant, status="pending", created_at=old)
        agentdb_make.storage_object(tenant=tenant, status="ready", expires_at=old)
        agentdb_make.storage_object(tenant=tenant, status="deleted", deleted_at=old)
        agentdb_make.storage_bucket(tenant=tenant, deleted_at=old)
    own = agentdb_make.tenant.id
    for _ in ("own", "others"):
        assert found(await expire_uploads(agentdb_database, tenant_id=own)) == {"deleted": 1}
        assert found(await expire_objects(agentdb_database, tenant_id=own)) == {"deleted": 1}
        purged = found(await purge_deleted(agentdb_database, tenant_id=own))
        assert purged == {"storage_objects": 1, "storage_buckets": 1}
        own = other.id


@pytest.mark.agentdb_commits
async def test_sweeps_start_from_a_url_alone(agentdb_url: str, agentdb_make: Factory) -> None:
    """No database object is needed."""
    old = utc_now() - YEAR
    agentdb_make.storage_object(status="pending", created_at=old)
    agentdb_make.storage_object(status="ready", expires_at=old)
    agentdb_make.storage_object(status="deleted", deleted_at=old)

    assert found(await expire_uploads(agentdb_url)) == {"deleted": 1}
    assert found(await expire_objects(agentdb_url)) == {"deleted": 1}
    assert found(await purge_deleted(agentdb_url)) == {"storage_objects": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_purges_share_the_rows(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each object and bucket is counted by the one that deleted it, and by nobody else."""
    old = utc_now() - YEAR
    with agentdb_make.transaction():
        for _ in range(10):
            bucket = agentdb_make.storage_bucket(deleted_at=old)
            for _ in range(3):
                agentdb_make.storage_object(bucket=bucket, status="deleted", deleted_at=old)

    async def call(_: int) -> Report:
        return await purge_deleted(agentdb_database, batch=4)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    reports = [*outcomes.results, await purge_deleted(agentdb_database)]

    assert outcomes.errors == []
    assert sum(report.counts["storage_objects"] for report in reports) == 30
    assert sum(report.counts["storage_buckets"] for report in reports) == 10


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_locked_object_is_skipped(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """With its bucket; the next sweep finds what this one left."""
    old = utc_now() - YEAR
    bucket = agentdb_make.storage_bucket(deleted_at=old)
    row = agentdb_make.storage_object(bucket=bucket, status="deleted", deleted_at=old)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.storage_objects.require(row.id, lock=True, include_deleted=True)

        assert found(await purge_deleted(agentdb_database)) == {}
    assert found(await purge_deleted(agentdb_database)) == {
        "storage_objects": 1,
        "storage_buckets": 1,
    }


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (PendingUploads(None, DAY), "ix_storage_objects_pending"),
        (ExpiredObjects(None, DAY), "ix_storage_objects_expires"),
        (DeletedObjects(None, DAY), "ix_storage_objects_deleted"),
    ],
    ids=["uploads", "expired", "deleted"],
)
async def test_a_sweep_follows_its_index(
    agentdb_database: Database, agentdb_make: Factory, sweep: Sweep[Any], index: str
) -> None:
    """No batch reads a table from end to end, and neither does a dry run."""
    old = utc_now() - YEAR
    agentdb_make.storage_object(status="pending", created_at=old)
    agentdb_make.storage_object(status="ready", expires_at=old)
    row = agentdb_make.storage_object(status="deleted", deleted_at=old)
    for after in (None, (old - DAY, row.id)):
        async with agentdb_database.begin_system(reason="test") as uow:
            change = await plans_of(uow, sweep.change(uow, after, 10))
            count = await plans_of(uow, sweep.count(uow, None))

        change[0].assert_uses_index(index)
        count[0].assert_uses_index(index)
        for plan in (*change, *count):
            plan.assert_scans_nothing()
