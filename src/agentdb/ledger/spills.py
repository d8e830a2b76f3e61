"""Frames too large for their rows: gzipped objects, and the rows that say where they are."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.ledger.frames import Batch
from agentdb.objects import ObjectStore
from agentdb.storage.models import StorageObject
from agentdb.storage.repository import StorageBucketRepository
from agentdb.storage.statements import buckets, keys_of, objects
from agentdb.storage.values import StorageObjectStatus
from agentdb.types import uuid_pk
from agentdb.unit import Unit

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
"""Of gzip (https://www.rfc-editor.org/rfc/rfc1952): no name, no time, best compression, no system;
Python's own header differs between its versions."""


@dataclass(frozen=True, slots=True)
class Spill:
    """A frame on its way to an object store.

    Attributes:
        frame: Its stream and event id.
        key: Key of its object; the same at each retry, and another for other content.
        content: Its gzipped JSON; the same bytes at each retry.
    """

    frame: tuple[str, int]
    key: str
    content: bytes


def spills_of(conversation: UUID, batch: Batch) -> Iterator[Spill]:
    """Yield the objects of the frames that their rows cannot hold."""
    for place, text in batch.spilled.items():
        row = batch.rows[place]
        frame = row["stream_id"], row["event_id"]
        content = compress(text.encode())
        yield Spill(frame, object_key(conversation, *frame, content), content)


def object_key(conversation: UUID, stream: str, event: int, content: bytes) -> str:
    """Return the key of a frame's object.

    Stream ids are any text, so their digest stands there. The content has a part in it: of two
    writers who send different frames under one id, the one whose frame is not recorded must not
    overwrite the object of the one that is.
    """
    digest = hashlib.sha256(stream.encode()).hexdigest()
    version = hashlib.sha256(content).hexdigest()[:16]
    return f"ledger/{conversation}/{digest}/{event}-{version}.json.gz"


def compress(content: bytes) -> bytes:
    """Return *content* gzipped, the same bytes for the same content in every process."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    return _HEADER + body + struct.pack("<LL", zlib.crc32(content), len(content) & 0xFFFFFFFF)


async def require_bucket(
    unit: Unit, store: ObjectStore, tenant: UUID, *, hold: bool = False
) -> UUID:
    """Return the tenant's bucket that stands for *store*, made or revived if there is none live.

    It is the one of the store's name. The first live bucket of a tenant becomes its default.

    Args:
        unit: The unit.
        store: The store.
        tenant: The tenant.
        hold: Keep it live until the unit ends, while others may use it, too.
    """
    named = (buckets.c.tenant_id == tenant, buckets.c.bucket_name == store.bucket)
    query = select(buckets.c.id).where(*named, buckets.c.deleted_at.is_(None))
    found = await keys_of(unit, query.with_for_update(read=True) if hold else query)
    if found:
        return found[0]
    repository = StorageBucketRepository(unit)
    made, _ = await repository.get_or_create(store.provider, store.bucket, tenant_id=tenant)
    return made.id


async def store_objects(
    unit: Unit, owner: tuple[UUID, UUID, UUID], spills: Sequence[Spill], now: datetime | None
) -> dict[str, UUID]:
    """Store the rows of objects that are in their store already, and return their ids by key.

    Args:
        unit: The unit.
        owner: Tenant, conversation and bucket.
        spills: The objects; a key whose frame was purged is used again.
        now: The clock of the append.
    """
    if not spills:
        return {}
    at = await unit.read_clock(now)
    rows = [{**_object_row(spill), **_owned(owner), **_stamped(at)} for spill in spills]
    insert: Any = (postgresql if unit.is_postgresql else sqlite).insert(objects).values(rows)
    changed = [name for name in rows[0] if name not in {"id", "created_at"}]
    statement = insert.on_conflict_do_update(
        index_elements=[objects.c.bucket_id, objects.c.object_key],
        set_={name: insert.excluded[name] for name in changed},
    )
    stored = await unit.execute(statement.returning(objects.c.object_key, objects.c.id))
    keys: dict[str, UUID] = {row.object_key: row.id for row in stored}
    for key in keys.values():
        await unit.refresh(StorageObject, key)
    return keys


def _object_row(spill: Spill) -> dict[str, Any]:
    return {
        "id": uuid_pk(),
        "object_key": spill.key,
        "filename": f"{spill.frame[1]}.json.gz",
        "mime_type": "application/gzip",
        "size_bytes": len(spill.content),
        "checksum_sha256": hashlib.sha256(spill.content).hexdigest(),
        "status": StorageObjectStatus.READY,
        "metadata_json": {},
    }


def _owned(owner: tuple[UUID, UUID, UUID]) -> dict[str, Any]:
    return dict(zip(("tenant_id", "conversation_id", "bucket_id"), owner, strict=True))


def _stamped(at: datetime) -> dict[str, Any]:
    return {"created_at": at, "updated_at": at, "deleted_at": None, "expires_at": None}
