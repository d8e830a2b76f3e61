"""Maintenance of objects and buckets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Select,
    String,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from typing_extensions import Unpack, override

from agentdb.conversations.statements import events
from agentdb.database import Database
from agentdb.maintenance.aged import Aged, Place, count_rows, last_place
from agentdb.maintenance.runner import Batch, Counted, PlanOptions, Report, cutoff, run_aged
from agentdb.orm import Base
from agentdb.storage.models import StorageBucket, StorageObject
from agentdb.storage.statements import buckets, deletion, objects, purge_objects
from agentdb.storage.values import StorageObjectStatus
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork

UPLOAD = timedelta(days=1)
"""How long an upload may take before it is taken for given up."""

# Written out: SQLite takes a partial index for constants alone, not for parameters
# (https://www.sqlite.org/partialindex.html).
_PENDING: list[ColumnElement[str]] = [
    literal_column(f"'{status}'", String())
    for status in (StorageObjectStatus.PENDING, StorageObjectStatus.PENDING_UPLOAD)
]


async def expire_uploads(
    db: Database | str | URL,
    *,
    older_than: timedelta = UPLOAD,
    **options: Unpack[PlanOptions],
) -> Report:
    """Soft-delete objects whose bytes have not come.

    An upload that ends later is refused by `storage_objects.mark_ready`.

    Args:
        db: The database, or its URL.
        older_than: Time since they were made, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` objects.
    """
    return await run_aged(db, older_than, options, PendingUploads)


async def expire_objects(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Soft-delete objects that have expired; those without an expiry stay.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` objects.
    """
    return await run_aged(db, older_than, options, ExpiredObjects)


class _Ending(Aged):
    """Live objects that come to an end."""

    model: ClassVar[type[Base]] = StorageObject

    @override
    def _write(self, uow: UnitOfWork) -> Any:
        return update(objects).values(**deletion(uow.now()))

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        # Wrapped: SQLite takes the index of deleted_at for selective, where nearly all are NULL.
        live = func.coalesce(objects.c.deleted_at, null()).is_(None)
        return (await super()._due(uow, after)).where(live)


class PendingUploads(_Ending):
    """Objects without bytes, in the order in which they were made."""

    name = "expire_uploads"
    stamp: ClassVar[str] = "created_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        return (await super()._due(uow, after)).where(objects.c.status.in_(_PENDING))


class ExpiredObjects(_Ending):
    """Objects, in the order of their expiry."""

    name = "expire_objects"
    stamp: ClassVar[str] = "expires_at"


class DeletedObjects(Aged):
    """Soft-deleted objects, in the order of their deletion, and the frames that are in them."""

    name = "purge_deleted"
    outcomes: ClassVar[tuple[str, ...]] = ("storage_objects", "tombstones")
    model: ClassVar[type[Base]] = StorageObject
    stamp: ClassVar[str] = "deleted_at"

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        due = (await self._due(uow, after)).add_columns(objects.c.deleted_at).limit(limit)
        held = (await uow.execute(due.with_for_update(skip_locked=True))).all()
        tombstones = await purge_objects(uow, [row.id for row in held])
        counts = {"storage_objects": len(held), "tombstones": tombstones}
        return Batch(counts, last_place(held, self.stamp, limit))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        due = (await self._due(uow, None)).limit(limit)
        found = due.subquery()
        frames = select(events.c.id).join(found, found.c.id == events.c.payload_object_id)
        rows = await count_rows(uow, due)
        counts = {"storage_objects": rows, "tombstones": await count_rows(uow, frames)}
        return Counted(rows, counts)


class DeletedBuckets(Aged):
    """Soft-deleted buckets without objects, in the order of their deletion.

    There is no index by deletion: a tenant has few buckets.
    """

    name = "purge_deleted"
    outcomes: ClassVar[tuple[str, ...]] = ("storage_buckets",)
    model: ClassVar[type[Base]] = StorageBucket
    stamp: ClassVar[str] = "deleted_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        return (await super()._due(uow, after)).where(_holds_none())

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        # The run purges the objects that are due before it comes here.
        old = literal(await cutoff(uow, self._older_than), UTCDateTime())
        stays = or_(objects.c.deleted_at.is_(None), objects.c.deleted_at >= old)
        due = (await super()._due(uow, None)).where(_holds_none(stays)).limit(limit)
        rows = await count_rows(uow, due)
        return Counted(rows, {"storage_buckets": rows})


def _holds_none(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a bucket has no objects, or none that meet a condition."""
    return ~exists(select(objects.c.id).where(objects.c.bucket_id == buckets.c.id, *where))
