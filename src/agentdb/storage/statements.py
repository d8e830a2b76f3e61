"""The tables of buckets and objects, and what several verbs do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, delete, select

from agentdb.errors import InvalidValueError, ReferencedError
from agentdb.ledger.tombstones import holds_frames, leave_tombstones
from agentdb.storage.models import StorageBucket, StorageObject
from agentdb.storage.rows import OnFrames
from agentdb.storage.values import StorageObjectStatus
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit

buckets: Any = table_of(StorageBucket)
objects: Any = table_of(StorageObject)


def is_live_default() -> ColumnElement[bool]:
    """Return the condition as the partial index has it: SQLite takes no index for ``= 1``."""
    live = StorageBucket.deleted_at.is_(None)
    condition: ColumnElement[bool] = StorageBucket.is_default.op("AND", is_comparison=True)(live)
    return condition


def deletion(at: Any) -> dict[str, Any]:
    """Return what soft-deleted objects are set to; *at* is an instant or an expression of one."""
    return {"status": StorageObjectStatus.DELETED, "deleted_at": at, "updated_at": at}


async def keys_of(unit: Unit, statement: Executable) -> list[UUID]:
    """Run a statement that returns keys."""
    return list((await unit.execute(statement)).scalars())


async def lock_for_purge(unit: Unit, table: Any, *where: ColumnElement[bool]) -> list[UUID]:
    """Lock rows so that nothing can refer to them any more, until the unit ends."""
    query = select(table.c.id).where(*where).order_by(table.c.id).with_for_update()
    return await keys_of(unit, query)


async def purge_objects(unit: Unit, keys: Sequence[UUID], on_frames: OnFrames = "tombstone") -> int:
    """Delete objects that the caller has locked by `lock_for_purge`; return how many tombstones.

    Raises:
        ReferencedError: Frames are in them, and *on_frames* is to refuse.
        InvalidValueError: *on_frames* is neither.
    """
    if on_frames not in ("tombstone", "refuse"):  # no set: callers without a type checker
        raise InvalidValueError("a purge leaves a tombstone or refuses")
    left = 0
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        some = keys[start : start + KEYS_PER_STATEMENT]
        if on_frames == "refuse" and await holds_frames(unit, some):
            raise ReferencedError("frames of the ledger are in the object")
        left += await leave_tombstones(unit, some)
        await unit.execute(delete(objects).where(objects.c.id.in_(some)))
        for key in some:
            unit.forget(StorageObject, (key,))
    return left
