"""Maintenance of the ledger: what truncations have hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from sqlalchemy import (
    URL,
    ColumnElement,
    Select,
    delete,
    distinct,
    exists,
    func,
    literal,
    select,
    tuple_,
)
from typing_extensions import Unpack, override

from agentdb.conversations.statements import events, messages, segments
from agentdb.database import Database
from agentdb.ledger.models import ConversationLedgerSegment
from agentdb.ledger.objects import leave_objects
from agentdb.maintenance.aged import Place, count_rows, own
from agentdb.maintenance.runner import Batch, Counted, PlanOptions, Report, Sweep, cutoff, run_aged
from agentdb.repository.skipping import among
from agentdb.storage.statements import objects
from agentdb.unit_of_work import UnitOfWork

KEEP_TRUNCATED = timedelta(days=30)
"""How long what a truncation has hidden can be looked up."""

_ORDER = (segments.c.truncated_at, segments.c.id)


async def purge_truncated(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_TRUNCATED,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete messages and frames that truncations have hidden, and segments that are left empty.

    What is visible stays, and so do all positions. The objects of the frames are soft-deleted:
    their rows, with ``deleted_at``, name the bytes that can be removed from the store. A frame that
    was purged and is sent again is stored again.

    Args:
        db: The database, or its URL.
        older_than: Time since the truncation, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The counts of deleted ``messages``, ``frames`` and ``segments``, and of soft-deleted
        ``objects``.
    """
    return await run_aged(db, older_than, options, Truncated)


_Stage: TypeAlias = tuple[int, Place | None]
"""Which part is at work, and where it goes on."""


class Truncated(Sweep[_Stage]):
    """Messages, frames and segments, one after the other; a batch may hold rows of each."""

    name = "purge_truncated"
    outcomes: ClassVar[tuple[str, ...]] = ("messages", "frames", "objects", "segments")

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        kinds = (HiddenMessages, HiddenFrames, EmptySegments)
        self._parts: list[_Part] = [kind(tenant, older_than) for kind in kinds]

    @override
    async def change(self, uow: UnitOfWork, after: _Stage | None, limit: int) -> Batch[_Stage]:
        first, place = after or (0, None)
        counts: Counter[str] = Counter()
        for stage, part in enumerate(self._parts[first:], start=first):
            done = await part.change(uow, place, limit)
            counts.update(done.counts)
            if done.position is not None:
                return Batch(counts, (stage, done.position))
            limit -= done.counts[part.outcomes[0]]
            place = None
        return Batch(counts, None)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        counts: Counter[str] = Counter()
        rows = 0
        for part in self._parts:
            found = await part.count(uow, None if limit is None else limit - rows)
            counts.update(found.counts)
            rows += found.rows
            if rows == limit:
                break
        return Counted(rows, counts)


class _Part(Sweep[Place]):
    """Rows of old truncated segments, in the order of the truncations."""

    name = "purge_truncated"

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        self._tenant = tenant
        self._older_than = older_than

    async def _old(self, uow: UnitOfWork) -> list[ColumnElement[bool]]:
        """Return the conditions of a segment that was truncated long ago."""
        old = await cutoff(uow, self._older_than)
        before = segments.c.truncated_at < literal(old, segments.c.truncated_at.type)
        return [before, *own(ConversationLedgerSegment, self._tenant)]

    async def _left(self, uow: UnitOfWork, after: Place | None) -> list[ColumnElement[bool]]:
        """Return the conditions of such a segment, the one of a place or one behind it."""
        old = await self._old(uow)
        if after is None:
            return old
        values = [literal(v, c.type) for v, c in zip(after, _ORDER, strict=True)]
        return [*old, tuple_(*_ORDER) >= tuple_(*values)]


class _Hidden(_Part):
    """Deletes rows that their truncated segments hide.

    Attributes:
        table: Where they are.
        key: The column that the bound of a segment is about.
        bound: The last one that is visible; NULL means that none is.
    """

    table: ClassVar[Any]
    key: ClassVar[Any]
    bound: ClassVar[Any]

    def _rows(self, old: Sequence[ColumnElement[bool]], *columns: Any) -> Select[Any]:
        table = self.table
        query: Any = select(table.c.id, *columns)
        query = query.join_from(segments, table, table.c.segment_id == segments.c.id)
        hidden = self.key > func.coalesce(self.bound, -1)
        rows: Select[Any] = query.where(*old, hidden).order_by(*_ORDER, self.key)
        return rows

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        rows = self._rows(await self._left(uow, after)).limit(limit)
        free = rows.with_for_update(of=self.table, skip_locked=True)
        chosen = delete(self.table).where(
            among(self.table.c.id, free, postgresql=uow.is_postgresql)
        )
        kept = [c for c in self.table.c if c.name in {"segment_id", "payload_object_id"}]
        gone = (await uow.execute(chosen.returning(*kept))).all()
        counts = await self._counts(uow, gone)
        return Batch(counts, await self._place(uow, gone, limit))

    async def _place(self, uow: UnitOfWork, gone: Sequence[Any], limit: int) -> Place | None:
        if len(gone) < limit:
            return None
        touched = segments.c.id.in_({row.segment_id for row in gone})
        last = select(*_ORDER).where(touched).order_by(*(c.desc() for c in _ORDER)).limit(1)
        row = (await uow.execute(last)).one()
        return row.truncated_at, row.id

    async def _counts(self, uow: UnitOfWork, gone: Sequence[Any]) -> dict[str, int]:  # noqa: ARG002
        return {self.outcomes[0]: len(gone)}

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        rows = await count_rows(uow, self._rows(await self._old(uow)).limit(limit))
        return Counted(rows, {self.outcomes[0]: rows})


class HiddenMessages(_Hidden):
    """Messages behind the bounds of their segments."""

    outcomes: ClassVar[tuple[str, ...]] = ("messages",)
    table = messages
    key = messages.c.position
    bound = segments.c.visible_through_message_position


class HiddenFrames(_Hidden):
    """Frames behind the bounds of their segments, with the objects that hold them."""

    outcomes: ClassVar[tuple[str, ...]] = ("frames", "objects")
    table = events
    key = events.c.id
    bound = segments.c.visible_through_event_id

    @override
    async def _counts(self, uow: UnitOfWork, gone: Sequence[Any]) -> dict[str, int]:
        spilled = {row.payload_object_id for row in gone} - {None}
        left = await leave_objects(uow, spilled, await uow.read_clock()) if spilled else ()
        return {"frames": len(gone), "objects": len(left)}

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        rows = self._rows(await self._old(uow), events.c.payload_object_id).limit(limit).subquery()
        live = objects.c.deleted_at.is_(None)
        query = select(
            func.count().label("frames"),
            func.count(distinct(objects.c.id)).filter(live).label("objects"),
        ).select_from(rows.outerjoin(objects, objects.c.id == rows.c.payload_object_id))
        found = (await uow.execute(query)).one()
        return Counted(found.frames, {"frames": found.frames, "objects": found.objects})


def _no(table: Any, *visible: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a segment has none of the rows."""
    rows = select(table.c.id).where(table.c.segment_id == segments.c.id, *visible)
    return ~exists(rows.correlate(segments))


class EmptySegments(_Part):
    """Truncated segments without messages and frames."""

    outcomes: ClassVar[tuple[str, ...]] = ("segments",)

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        empty = [*(await self._left(uow, after)), _no(messages), _no(events)]
        free = select(segments.c.id).where(*empty).order_by(*_ORDER).limit(limit)
        free = free.with_for_update(skip_locked=True)
        chosen = delete(segments).where(among(segments.c.id, free, postgresql=uow.is_postgresql))
        gone = (await uow.execute(chosen.returning(*_ORDER))).all()
        last = max((row.truncated_at, row.id) for row in gone) if len(gone) == limit else None
        return Batch({"segments": len(gone)}, last)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        # The run deletes the hidden rows before it comes here.
        left = [
            _no(messages, messages.c.position <= segments.c.visible_through_message_position),
            _no(events, events.c.id <= segments.c.visible_through_event_id),
        ]
        query = select(segments.c.id).where(*(await self._old(uow)), *left).limit(limit)
        rows = await count_rows(uow, query)
        return Counted(rows, {"segments": rows})
