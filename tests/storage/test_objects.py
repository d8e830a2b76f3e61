from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    NotFoundError,
    TenantRequiredError,
    ValueTooLongError,
)
from agentdb.models import StorageObject, TenantAccount
from agentdb.storage.rows import ObjectFields, StoredFields
from agentdb.testing import Factory, Pause, StepRunner
from agentdb.types import uuid_pk
from tests.plans import plans_of, sorts

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DIGEST = "a" * 64


async def stored(uow: UnitOfWork, key: str = "key") -> StorageObject:
    """Return a new object in the bucket of the tests."""
    bucket, _ = await uow.storage_buckets.get_or_create("s3", "a")
    return await uow.storage_objects.create(bucket.id, key, "report.pdf")


async def test_an_object_is_made_before_its_bytes(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With an id that its key may be made from; it waits for the host, or for the client."""
    bucket, _ = await agentdb_uow.storage_buckets.get_or_create("s3", "a")
    user, conversation = agentdb_make.user(), agentdb_make.conversation()
    key = uuid_pk()
    fields: ObjectFields = {
        "mime_type": "application/pdf",
        "size_bytes": 12,
        "checksum_sha256": DIGEST,
        "created_by_user_id": user.id,
        "agent_key": "triage",
        "conversation_id": conversation.id,
        "metadata_json": {"pages": 2},
        "expires_at": NOW,
    }
    create = agentdb_uow.storage_objects.create
    row = await create(bucket.id, f"files/{key}", "report.pdf", id=key, **fields)
    other = await create(bucket.id, "b", "b.pdf", awaiting_upload=True)

    assert (row.id, row.status, row.deleted_at) == (key, "pending", None)
    assert {name: getattr(row, name) for name in fields} == fields
    assert (other.status, other.metadata_json, other.size_bytes) == ("pending_upload", {}, None)


async def test_what_an_object_needs_has_to_be_there(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A live bucket and a conversation of the tenant, a key that is free; the unit goes on."""
    other = agentdb_make.tenant_account()
    foreign = agentdb_make.storage_bucket(tenant=other)
    gone = agentdb_make.storage_bucket(deleted_at=NOW)
    create = agentdb_uow.storage_objects.create
    for bucket in (foreign.id, gone.id, uuid4()):
        with pytest.raises(NotFoundError):
            await create(bucket, "key", "name")
    row = await stored(agentdb_uow)
    with pytest.raises(NotFoundError):
        await create(
            row.bucket_id,
            "other",
            "name",
            conversation_id=agentdb_make.conversation(tenant=other).id,
        )
    with pytest.raises(ValueTooLongError):
        await create(row.bucket_id, "x" * 513, "name")
    await agentdb_uow.storage_objects.soft_delete(row.id)
    with pytest.raises(DuplicateError):
        await create(row.bucket_id, "key", "name")

    assert await agentdb_uow.storage_objects.count(include_deleted=True) == 1
    assert await agentdb_uow.storage_objects.purge(row.id)
    assert (await create(row.bucket_id, "key", "name")).status == "pending"


@pytest.mark.parametrize("awaiting", [True, False])
async def test_an_object_becomes_ready_once(agentdb_uow: UnitOfWork, awaiting: bool) -> None:
    """What is not said stays; said again it changes nothing, and another checksum is refused."""
    objects = agentdb_uow.storage_objects
    bucket, _ = await agentdb_uow.storage_buckets.get_or_create("s3", "a")
    row = await objects.create(
        bucket.id, "key", "a.pdf", awaiting_upload=awaiting, mime_type="application/pdf"
    )
    ready = await objects.mark_ready(row.id, size_bytes=7, checksum_sha256=DIGEST, now=NOW)

    assert ready is row
    assert (row.status, row.size_bytes, row.checksum_sha256) == ("ready", 7, DIGEST)
    assert (row.mime_type, row.updated_at) == ("application/pdf", NOW)
    for again in (StoredFields(), StoredFields(checksum_sha256=DIGEST)):
        assert (await objects.mark_ready(row.id, **again)).updated_at == NOW
    for other in ("b" * 64, None):
        with pytest.raises(InvalidTransitionError):
            await objects.mark_ready(row.id, checksum_sha256=other, size_bytes=9)
    assert (await objects.require(row.id)).size_bytes == 7


async def test_a_deleted_object_does_not_become_ready(agentdb_uow: UnitOfWork) -> None:
    """Whether it was ready before or not; one that is not there is not found."""
    objects = agentdb_uow.storage_objects
    pending, ready = await stored(agentdb_uow, "p"), await stored(agentdb_uow, "r")
    await objects.mark_ready(ready.id)
    for row in (pending, ready):
        await objects.soft_delete(row.id)
        with pytest.raises(InvalidTransitionError):
            await objects.mark_ready(row.id)
    with pytest.raises(NotFoundError):
        await objects.mark_ready(uuid4())
    with pytest.raises(ValueTooLongError):
        await objects.mark_ready((await stored(agentdb_uow)).id, checksum_sha256="x" * 65)

    assert await objects.count() == 1


async def test_a_deletion_is_kept_as_it_was_first(agentdb_uow: UnitOfWork) -> None:
    """The second is told that nothing changed."""
    row = await stored(agentdb_uow)
    objects = agentdb_uow.storage_objects

    assert await objects.soft_delete(row.id, now=NOW)
    assert not await objects.soft_delete(row.id)
    assert (row.status, row.deleted_at) == ("deleted", NOW)
    assert await objects.get(row.id) is None
    assert await objects.purge(row.id)
    assert not await objects.purge(row.id)
    with pytest.raises(NotFoundError):
        await objects.soft_delete(row.id)


async def test_objects_are_found_by_what_they_belong_to(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Newest first; filters add up, an unknown conversation has none."""
    conversation = agentdb_make.conversation(key="support")
    bucket, user = agentdb_make.storage_bucket(), agentdb_make.user()
    at = NOW
    old, new, gone = (
        agentdb_make.storage_object(
            bucket=bucket,
            conversation=conversation,
            status=status,
            created_at=at + timedelta(hours=hours),
            created_by_user=user if hours else None,
            agent_key="triage" if hours else None,
            deleted_at=at if status == "deleted" else None,
        )
        for hours, status in enumerate(("ready", "pending", "deleted"))
    )
    other = agentdb_make.storage_object(created_at=at)
    search = agentdb_uow.storage_objects.search

    async def found(**filters: Any) -> list[UUID]:
        return [row.id for row in await search(**filters)]

    assert await found(conversation="support") == [new.id, old.id]
    assert await found(conversation=conversation.id, status="ready") == [old.id]
    assert await found(conversation="unknown") == []
    assert await found(bucket_id=bucket.id, include_deleted=True) == [gone.id, new.id, old.id]
    assert await found(created_by_user_id=user.id, agent_key="triage") == [new.id]
    assert set(await found()) == {new.id, old.id, other.id}
    first = await search(limit=2)
    rest = await search(limit=2, after=first.next_cursor)
    assert [len(first), len(rest), rest.next_cursor] == [2, 1, None]


async def test_objects_of_another_tenant_are_not_there(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Neither to a tenant's unit nor to a system unit that names another."""
    other = agentdb_make.tenant_account()
    row = agentdb_make.storage_object(tenant=other)
    objects = agentdb_uow.storage_objects
    for verb in (objects.mark_ready, objects.soft_delete):
        with pytest.raises(NotFoundError):
            await verb(row.id)
    assert not await objects.purge(row.id)
    assert (await objects.search(conversation=row.conversation_id)).items == ()
    async with agentdb_database.begin_system(reason="test") as uow:
        own = agentdb_make.tenant.id
        with pytest.raises(NotFoundError):
            await uow.storage_objects.soft_delete(row.id, tenant_id=own)
        assert not await uow.storage_objects.purge(row.id, tenant_id=own)
        with pytest.raises(TenantRequiredError):
            await uow.storage_objects.create(row.bucket_id, "key", "name")
        made = await uow.storage_objects.create(row.bucket_id, "key", "name", tenant_id=other.id)
        assert await uow.storage_objects.soft_delete(made.id)
        assert await uow.storage_objects.purge(row.id)


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("first", ["ready", "delete"])
async def test_of_ready_and_delete_the_later_one_finds_the_other(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str
) -> None:
    """A ready object is deleted; a deleted one does not become ready."""
    tenant = agentdb_tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        key = (await stored(uow)).id

    async def ready(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.storage_objects.mark_ready(key)
            await pause()

    async def delete(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            assert await uow.storage_objects.soft_delete(key)
            await pause()

    second = {"ready": "delete", "delete": "ready"}[first]
    async with StepRunner(agentdb_database, ready=ready, delete=delete) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes["delete"] is None
    assert isinstance(outcomes["ready"], InvalidTransitionError) == (first == "delete")
    async with agentdb_database.read(tenant=tenant) as uow:
        (row,) = await uow.storage_objects.all(include_deleted=True)
        assert row.status == "deleted"


@pytest.mark.agentdb_plans
async def test_a_page_follows_an_index(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """That of the tenant in its order; with a filter, too, no table is read from end to end."""
    row = agentdb_make.storage_object(conversation=agentdb_make.conversation())
    for _ in range(200):  # of one row, any index would do
        agentdb_make.storage_object(bucket_id=row.bucket_id)
    if agentdb_uow.is_postgresql:
        await agentdb_uow.execute(text("ANALYZE"))
    search = agentdb_uow.storage_objects.search
    (whole,) = await plans_of(agentdb_uow, search())
    filtered = await plans_of(agentdb_uow, search(conversation=row.conversation_id))
    filtered += await plans_of(agentdb_uow, search(bucket_id=row.bucket_id, status="ready"))

    whole.assert_uses_index("ix_storage_objects_tenant_created")
    assert not sorts(whole)
    for plan in filtered:
        plan.assert_scans_nothing()


@pytest.mark.agentdb_plans
async def test_a_purge_reads_no_table_from_end_to_end(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Frames are found by their object, the objects of a bucket by its key."""
    row = agentdb_make.storage_object()
    for purge in (
        agentdb_uow.storage_objects.purge(row.id),
        agentdb_uow.storage_buckets.purge(agentdb_make.storage_object().bucket_id),
    ):
        plans = await plans_of(agentdb_uow, purge)

        assert any(
            "ix_conversation_ledger_events_payload_object_id" in plan.indexes for plan in plans
        )
        for plan in plans:
            plan.assert_scans_nothing()
