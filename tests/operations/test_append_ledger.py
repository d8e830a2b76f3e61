from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    CorruptObjectError,
    InvalidValueError,
    NotFoundError,
    ReferencedError,
    ValueTooLongError,
)
from agentdb.models import TenantAccount
from agentdb.objects import FolderObjectStore, MemoryObjectStore, ObjectStore
from agentdb.operations import append_ledger
from agentdb.storage.models import StorageBucket
from agentdb.storage.values import StorageObjectStatus
from agentdb.testing import run_concurrently
from tests.ledger.conversations import begun, walk
from tests.ledger.frames import frame, frames


def large(event_id: int, stream_id: str = "s1", **fields: Any) -> dict[str, Any]:
    """Return a frame above the limit of the tests."""
    return frame(event_id, stream_id, text="é\n" * 2000, **fields)


LIMIT = 1000


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store."""
    return MemoryObjectStore() if request.param == "memory" else FolderObjectStore(tmp_path / "o")


async def test_a_spilled_frame_comes_back_as_it_was_recorded(
    agentdb_uow: UnitOfWork, store: ObjectStore
) -> None:
    """Large frames go to the store, small ones to their rows, and a replay tells no difference."""
    given = [frame(1), large(2, nested={"a": [1, None]}), frame(3), large(4)]
    conversation = await begun(agentdb_uow)
    recorded = await append_ledger(
        agentdb_uow, conversation, given, store=store, inline_limit=LIMIT
    )
    ledger = agentdb_uow.conversation_ledger_events
    page = await ledger.replay(conversation, store=store)
    resumed = await ledger.resume(conversation, "s1", 1, store=store)

    assert [item.inserted for item in recorded] == [True] * 4
    assert [item.payload for item in page] == given
    assert [item.payload for item in resumed] == given[1:]
    assert [await ledger.payload(item.id, store=store) for item in recorded] == given
    assert [item.raw is None for item in await ledger.replay(conversation)] == [
        False,
        True,
        False,
        True,
    ]


async def test_the_object_of_a_frame_is_described_by_its_row(agentdb_uow: UnitOfWork) -> None:
    """The row is ready and has size, digest, bucket and conversation; the bytes are gzip."""
    store = MemoryObjectStore("frames")
    conversation = await begun(agentdb_uow)
    (recorded,) = await append_ledger(
        agentdb_uow, conversation, [large(1)], store=store, inline_limit=LIMIT
    )
    event = await agentdb_uow.conversation_ledger_events.require(recorded.id)
    assert event.payload_object_id is not None
    row = await agentdb_uow.storage_objects.require(event.payload_object_id)
    bucket = await agentdb_uow.storage_buckets.require(row.bucket_id)
    ((key, content),) = store.blobs.items()

    assert (row.object_key, row.size_bytes, row.status) == (
        key,
        len(content),
        StorageObjectStatus.READY,
    )
    assert hashlib.sha256(content).hexdigest() == row.checksum_sha256
    assert json.loads(gzip.decompress(content)) == large(1)
    assert conversation == row.conversation_id
    assert (bucket.provider, bucket.bucket_name, bucket.is_default) == ("memory", "frames", True)
    assert event.payload_size_bytes == len(gzip.decompress(content))


async def test_the_bucket_of_a_store_is_used_again(agentdb_uow: UnitOfWork) -> None:
    """It is made once, revived if it was deleted, and does not take the place of the default."""
    own = await agentdb_uow.storage_buckets.add(
        StorageBucket(tenant_id=agentdb_uow.tenant, provider="s3", bucket_name="uploads")  # type: ignore[arg-type]
    )
    store = MemoryObjectStore("frames")
    conversation = await begun(agentdb_uow)
    for event in (1, 2):
        await append_ledger(
            agentdb_uow, conversation, [large(event)], store=store, inline_limit=LIMIT
        )
        buckets = await agentdb_uow.storage_buckets.all()
        assert {bucket.bucket_name: bucket.is_default for bucket in buckets} == {
            "uploads": True,
            "frames": False,
        }
    (frames_bucket,) = [bucket for bucket in buckets if bucket.id != own.id]
    frames_bucket.deleted_at = own.created_at
    await append_ledger(agentdb_uow, conversation, [large(3)], store=store, inline_limit=LIMIT)

    assert frames_bucket.id in {b.id for b in await agentdb_uow.storage_buckets.all()}


async def test_a_retry_overwrites_the_object_of_a_unit_that_failed(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Bytes of a unit that rolled back have no row; the same frame sent again takes their place."""
    store = MemoryObjectStore()
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def append(*, fails: bool) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await append_ledger(uow, "chat", [large(1)], store=store, inline_limit=LIMIT)
            if fails:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        await append(fails=True)
    left = dict(store.blobs)
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert (await uow.storage_objects.count(), await walk(uow, "chat")) == (0, [])
    await append(fails=False)

    assert left == store.blobs
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        page = await uow.conversation_ledger_events.replay("chat", store=store)
        assert [item.payload for item in page] == [large(1)]


async def test_a_recorded_frame_keeps_its_object(agentdb_uow: UnitOfWork) -> None:
    """Another frame under the same stream and event id is skipped, its bytes go nowhere."""
    store = MemoryObjectStore()
    conversation = await begun(agentdb_uow)
    first = await append_ledger(
        agentdb_uow, conversation, [large(1)], store=store, inline_limit=LIMIT
    )
    again = await append_ledger(
        agentdb_uow,
        conversation,
        [large(1, other=True), large(2)],
        store=store,
        inline_limit=LIMIT,
    )
    page = await agentdb_uow.conversation_ledger_events.replay(conversation, store=store)

    assert [item.inserted for item in again] == [False, True]
    assert first[0].id == again[0].id
    assert [item.payload for item in page] == [large(1), large(2)]
    assert len(store.blobs) == 2


class LosingStore(MemoryObjectStore):
    """A store that fails to write."""

    @override
    async def put(self, key: str, content: bytes) -> None:
        raise ConnectionError("the store is down")


async def test_a_store_that_fails_leaves_nothing(agentdb_uow: UnitOfWork) -> None:
    """Its error reaches the caller, no frame of the batch is stored, and the unit goes on."""
    conversation = await begun(agentdb_uow)
    with pytest.raises(ConnectionError):
        await append_ledger(
            agentdb_uow, conversation, [frame(1), large(2)], store=LosingStore(), inline_limit=LIMIT
        )

    assert await walk(agentdb_uow, conversation) == []
    await append_ledger(agentdb_uow, conversation, frames(2))
    assert len(await walk(agentdb_uow, conversation)) == 2


async def test_a_malformed_batch_stores_no_object(agentdb_uow: UnitOfWork) -> None:
    """Frames and conversation are checked before anything goes to the store."""
    store = MemoryObjectStore()
    conversation = await begun(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await append_ledger(
            agentdb_uow,
            conversation,
            [large(1), large(2, agent=7)],
            store=store,
            inline_limit=LIMIT,
        )
    with pytest.raises(NotFoundError):
        await append_ledger(agentdb_uow, "none", [large(1)], store=store, inline_limit=LIMIT)

    assert store.blobs == {}


async def test_a_large_frame_without_a_store_is_refused(agentdb_uow: UnitOfWork) -> None:
    """The error tells the limit; with a store small frames never touch it."""
    conversation = await begun(agentdb_uow)
    with pytest.raises(ValueTooLongError) as caught:
        await append_ledger(agentdb_uow, conversation, [frame(1), large(2)], inline_limit=LIMIT)
    await append_ledger(agentdb_uow, conversation, frames(3), store=LosingStore())

    assert caught.value.limit == LIMIT
    assert await agentdb_uow.storage_buckets.count() == 0


async def test_a_changed_object_is_told_from_the_recorded_one(agentdb_uow: UnitOfWork) -> None:
    """Another SHA-256 raises, a lost object is not found, and no store is told as such."""
    store = MemoryObjectStore()
    conversation = await begun(agentdb_uow)
    (recorded,) = await append_ledger(
        agentdb_uow, conversation, [large(1)], store=store, inline_limit=LIMIT
    )
    ledger = agentdb_uow.conversation_ledger_events
    (key,) = store.blobs
    store.blobs[key] = gzip.compress(b'{"forged": true}')

    with pytest.raises(CorruptObjectError):
        await ledger.payload(recorded.id, store=store)
    with pytest.raises(CorruptObjectError):
        await ledger.replay(conversation, store=store)
    store.blobs.clear()
    with pytest.raises(NotFoundError):
        await ledger.payload(recorded.id, store=store)
    with pytest.raises(InvalidValueError, match="store"):
        await ledger.payload(recorded.id)
    with pytest.raises(NotFoundError):
        await ledger.payload(recorded.id + 1000, store=store)


async def test_the_object_of_a_frame_cannot_be_deleted_under_it(agentdb_uow: UnitOfWork) -> None:
    """A plain delete of object or bucket is refused, and the frame is still whole."""
    store = MemoryObjectStore()
    conversation = await begun(agentdb_uow)
    (recorded,) = await append_ledger(
        agentdb_uow, conversation, [large(1)], store=store, inline_limit=LIMIT
    )
    (row,) = await agentdb_uow.storage_objects.all()
    with pytest.raises(ReferencedError):
        await agentdb_uow.storage_objects.delete(row.id)
    with pytest.raises(ReferencedError):
        await agentdb_uow.storage_buckets.delete(row.bucket_id)

    assert large(1) == await agentdb_uow.conversation_ledger_events.payload(
        recorded.id, store=store
    )


@pytest.mark.agentdb_commits
async def test_eight_appends_of_one_large_frame_store_it_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """One of eight records the frame, all succeed, and one bucket, object and row are there."""
    store = MemoryObjectStore()
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(number: int) -> bool:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            given = [large(1), frame(1, f"own-{number}")]
            first, own = await append_ledger(uow, "chat", given, store=store, inline_limit=LIMIT)
            assert own.inserted
            return first.inserted

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert sorted(outcomes.results) == [False] * 7 + [True]
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        counts = [await uow.storage_buckets.count(), await uow.storage_objects.count()]
        page = await uow.conversation_ledger_events.replay("chat", store=store)
        assert counts == [1, 1]
        assert len(page) == 9
        assert [item.payload for item in page if item.stream_id == "s1"] == [large(1)]


async def test_a_system_unit_names_the_tenant(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """With a tenant it spills and reads like the tenant's own unit."""
    store = MemoryObjectStore()
    async with agentdb_database.begin_system(reason="test") as uow:
        conversation, _ = await uow.agent_conversations.get_or_create(
            "chat", "triage", tenant_id=agentdb_tenant.id
        )
        (recorded,) = await append_ledger(
            uow,
            "chat",
            [large(1)],
            store=store,
            inline_limit=LIMIT,
            tenant_id=agentdb_tenant.id,
        )
        ledger = uow.conversation_ledger_events
        page = await ledger.replay(conversation.id, store=store)

        assert await ledger.payload(recorded.id, store=store) == large(1)
        assert [item.payload for item in page] == [large(1)]
