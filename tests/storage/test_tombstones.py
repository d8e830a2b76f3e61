"""Objects and buckets that hold frames of the ledger, and what is left of the frames."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, ReferencedError
from agentdb.models import ConversationLedgerEvent, StorageObject, TenantAccount
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, delete_conversation, truncate_from
from agentdb.testing import Pause, StepRunner, run_concurrently
from tests.ledger.conversations import asked, begun, places, walk
from tests.ledger.frames import frame

LIMIT = 500


def large(event_id: int, **fields: Any) -> dict[str, Any]:
    """Return a frame above the limit of the tests."""
    return frame(event_id, text="x" * 2000, **fields)


async def spilled(uow: UnitOfWork, *given: dict[str, Any], key: str = "chat") -> list[UUID]:
    """Append frames to a conversation, and return the objects of those that are spilled."""
    conversation = await begun(uow, key)
    store = MemoryObjectStore()
    recorded = await append_ledger(uow, conversation, given, store=store, inline_limit=LIMIT)
    rows = [await uow.conversation_ledger_events.require(one.id) for one in recorded]
    return [row.payload_object_id for row in rows if row.payload_object_id is not None]


FULL: dict[str, Any] = {
    "response_id": "resp_1",
    "agent": "triage",
    "workflow": {"workflow_key": "w", "workflow_run_id": "run-1", "stage": "s"},
    "provider_sequence_number": 7,
    "output_index": 0,
    "item_id": "item_1",
    "content_index": 3,
    "tool_call_id": "call_1",
    "conversation_id": "host",
}


async def test_a_purged_object_leaves_tombstones(agentdb_uow: UnitOfWork) -> None:
    """Its frame keeps what its columns tell; the frames around it stay whole, in their order."""
    (key,) = await spilled(agentdb_uow, frame(1), large(2, **FULL), frame(3))
    ledger = agentdb_uow.conversation_ledger_events
    assert await agentdb_uow.storage_objects.purge(key)
    page = await ledger.replay("chat")
    tombstone = frame(2, **FULL, payload_purged=True)
    tombstone["workflow"] = {"workflow_run_id": "run-1"}
    del tombstone["conversation_id"]

    assert [item.payload for item in page] == [frame(1), tombstone, frame(3)]
    assert await ledger.payload(page.items[1].id) == tombstone
    resumed = await ledger.resume("chat", "s1", 1)
    assert [item.payload for item in resumed] == [tombstone, frame(3)]
    row = await ledger.require(page.items[1].id)
    assert row.payload_object_id is None
    assert row.payload_size_bytes is not None
    assert row.payload_size_bytes > LIMIT
    assert await agentdb_uow.storage_objects.count(include_deleted=True) == 0


async def test_a_tombstone_has_no_fields_that_its_frame_lacked(agentdb_uow: UnitOfWork) -> None:
    """What is required is there, with the instant as it was sent; what was null is left out."""
    given = large(1, agent=None, server_timestamp="2026-01-02T03:04:05.999Z")
    (key,) = await spilled(agentdb_uow, given)
    await agentdb_uow.storage_objects.purge(key)
    (item,) = await walk(agentdb_uow, "chat")

    expected = {name: given[name] for name in ("schema", "kind", "stream_id", "event_id")}
    expected |= {"server_timestamp": given["server_timestamp"], "payload_purged": True}
    assert item.payload == expected


async def test_a_refusing_purge_leaves_all_as_it_was(agentdb_uow: UnitOfWork) -> None:
    """Frames stand against it, of an object and of a bucket alike; without frames it purges."""
    (key,) = await spilled(agentdb_uow, large(1))
    objects, buckets = agentdb_uow.storage_objects, agentdb_uow.storage_buckets
    row = await objects.require(key)
    for refused in (
        objects.purge(key, ledger="refuse"),
        buckets.purge(row.bucket_id, ledger="refuse"),
        objects.delete(key),
        buckets.delete(row.bucket_id),
    ):
        with pytest.raises(ReferencedError):
            await refused
    with pytest.raises(InvalidValueError):
        await objects.purge(key, ledger="maybe")  # type: ignore[arg-type]  # what is under test
    assert (await objects.require(key)).status == "ready"
    await objects.purge(key)
    plain = await objects.create(row.bucket_id, "plain", "name")

    assert await objects.purge(plain.id, ledger="refuse")
    assert await buckets.purge(row.bucket_id, ledger="refuse")


async def test_a_bucket_is_purged_under_its_frames(agentdb_uow: UnitOfWork) -> None:
    """All of them become tombstones, and later frames get a bucket of their own."""
    keys = await spilled(agentdb_uow, large(1), large(2))
    bucket = (await agentdb_uow.storage_objects.require(keys[0])).bucket_id
    assert await agentdb_uow.storage_buckets.purge(bucket)
    await spilled(agentdb_uow, large(3))
    items = await walk(agentdb_uow, "chat")

    assert places(items) == [("s1", 1), ("s1", 2), ("s1", 3)]
    tombstones = [item.raw is not None and "payload_purged" in item.raw for item in items]
    assert tombstones == [True, True, False]
    (made,) = await agentdb_uow.storage_buckets.all()
    assert made.id != bucket
    assert made.is_default


async def test_loaded_rows_are_brought_up_to_date(agentdb_uow: UnitOfWork) -> None:
    """A frame that the unit has loaded is a tombstone at once, and its object is forgotten."""
    (key,) = await spilled(agentdb_uow, large(1))
    (row,) = await agentdb_uow.conversation_ledger_events.all()
    held = await agentdb_uow.storage_objects.require(key)
    await agentdb_uow.storage_objects.purge(key)

    assert row.payload_object_id is None
    assert row.payload_json is not None
    assert row.payload_json["payload_purged"] is True
    assert agentdb_uow.loaded(StorageObject, (held.id,)) is None


async def test_a_purged_frame_stays_recorded(agentdb_uow: UnitOfWork) -> None:
    """Sent again it is skipped, as any that is recorded."""
    (key,) = await spilled(agentdb_uow, large(1))
    await agentdb_uow.storage_objects.purge(key)
    store = MemoryObjectStore()
    (again,) = await append_ledger(agentdb_uow, "chat", [large(1)], store=store, inline_limit=LIMIT)

    assert not again.inserted
    assert store.blobs == {}


async def test_truncation_and_deletion_work_with_spilled_and_purged_frames(
    agentdb_uow: UnitOfWork,
) -> None:
    """A truncation hides them all; a deletion names the objects that are left."""
    await begun(agentdb_uow)
    first = await spilled(agentdb_uow, large(1))
    message = await asked(agentdb_uow, "chat")
    later = await spilled(agentdb_uow, large(2), large(3))
    await agentdb_uow.storage_objects.purge(later[0])
    cut = await truncate_from(agentdb_uow, "chat", message)
    assert (cut.hidden_events, places(await walk(agentdb_uow, "chat"))) == (2, [("s1", 1)])
    await agentdb_uow.storage_objects.purge(first[0])
    deleted = await delete_conversation(agentdb_uow, "chat")

    assert deleted is not None
    assert [left.id for left in deleted.objects] == [later[1]]
    assert deleted.counts["conversation_ledger_events"] == 3
    assert await agentdb_uow.storage_objects.purge(later[1], ledger="refuse")


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("verb", ["object", "bucket"])
@pytest.mark.parametrize("first", ["append", "purge"])
async def test_a_purge_and_an_append_follow_each_other(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str, verb: str
) -> None:
    """The append takes up the key of an object that is left over.

    Purged after it, its frame is a tombstone; purged before, it stores the object anew.
    """
    tenant = agentdb_tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        (other,) = await spilled(uow, large(1))
        bucket = (await uow.storage_objects.require(other)).bucket_id
        # As a purge of what was truncated leaves it: the frame gone, the object deleted.
        (row,) = await uow.conversation_ledger_events.all()
        conversation = row.conversation_id
        await uow.session.delete(row)
        await uow.storage_objects.soft_delete(other)

    async def append(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            store = MemoryObjectStore()
            await append_ledger(uow, conversation, [large(1)], store=store, inline_limit=LIMIT)
            await pause()

    async def purge(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            if verb == "object":
                await uow.storage_objects.purge(other)
            else:
                await uow.storage_buckets.purge(bucket)
            await pause()

    second = {"append": "purge", "purge": "append"}[first]
    async with StepRunner(agentdb_database, append=append, purge=purge) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes == {"append": None, "purge": None}
    async with agentdb_database.read(tenant=tenant) as uow:
        (frame_row,) = await uow.conversation_ledger_events.all(
            ConversationLedgerEvent.conversation_id == conversation
        )
        assert (frame_row.payload_json is not None) == (first == "append")
        live = await uow.storage_objects.all()
        assert [one.id for one in live] == (
            [] if first == "append" else [frame_row.payload_object_id]
        )


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("first", ["append", "remove"])
async def test_a_frame_never_lands_in_a_deleted_bucket(
    agentdb_database: Database, agentdb_tenant: TenantAccount, first: str
) -> None:
    """The deletion of its bucket waits for the append and is refused, or the append revives it."""
    tenant = agentdb_tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await begun(uow)
        bucket = (await uow.storage_buckets.get_or_create("memory", "memory"))[0].id

    async def append(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await spilled(uow, large(1))
            await pause()

    async def remove(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.storage_buckets.soft_delete(bucket)
            await pause()

    second = {"append": "remove", "remove": "append"}[first]
    async with StepRunner(agentdb_database, append=append, remove=remove) as runner:
        assert await runner.run([first, second]) == ["paused", "waiting"]
        outcomes = await runner.finish()

    assert outcomes["append"] is None
    assert isinstance(outcomes["remove"], ReferencedError) == (first == "append")
    async with agentdb_database.read(tenant=tenant) as uow:
        (row,) = await uow.storage_objects.all()
        assert row.bucket_id == bucket
        assert (await uow.storage_buckets.require(bucket)).is_default


@pytest.mark.agentdb_commits
async def test_appends_that_spill_race_the_deletion_of_their_bucket(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """All frames are stored, and their bucket is live at the end, however often it was deleted."""
    tenant = agentdb_tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        for number in range(6):
            await begun(uow, f"chat-{number}")
        bucket = (await uow.storage_buckets.get_or_create("memory", "memory"))[0].id

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            if number < 6:
                await spilled(uow, large(1), key=f"chat-{number}")
                return
            try:
                await uow.storage_buckets.soft_delete(bucket)
            except ReferencedError:
                return

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.storage_objects.count() == 6
        assert (await uow.storage_buckets.require(bucket)).deleted_at is None
