"""Objects of frames that are deleted: rows soft-deleted, bytes named for removal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Update, update

from agentdb.conversations.statements import Query
from agentdb.storage.models import StorageObject
from agentdb.storage.statements import deletion, objects
from agentdb.unit import Unit


@dataclass(frozen=True, slots=True)
class LeftObject:
    """An object whose bytes can be removed from its store.

    Attributes:
        id: Its row, which `storage_objects.purge` deletes.
        bucket_id: Its bucket.
        object_key: Its key in the store.
    """

    id: UUID
    bucket_id: UUID
    object_key: str


async def leave_objects(
    unit: Unit, ids: Query | Collection[UUID], at: datetime
) -> tuple[LeftObject, ...]:
    """Soft-delete the live ones of the objects with *ids*, and return them by key."""
    live = (objects.c.id.in_(ids), objects.c.deleted_at.is_(None))
    changed: Any = update(objects).where(*live).values(**deletion(at))
    named = (objects.c[name] for name in ("id", "bucket_id", "object_key"))
    statement: Update = changed.returning(*named)
    found = await unit.execute(statement)
    left = [LeftObject(**row) for row in found.mappings()]
    for one in left:
        await unit.refresh(StorageObject, one.id)
    return tuple(sorted(left, key=lambda one: one.object_key))
