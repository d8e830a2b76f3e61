"""Appending frames, under the lock of their conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Row

from agentdb.batch import PARAMETER, encode_batch
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import events
from agentdb.hints import hint_after_commit
from agentdb.ledger.frames import Batch
from agentdb.ledger.rows import Recorded, frames_topic
from agentdb.ledger.segments import open_segment
from agentdb.ledger.spills import require_bucket, spills_of, store_objects
from agentdb.ledger.statements import append_frames, newest_stamps, recorded_frames
from agentdb.objects import ObjectStore
from agentdb.unit import Unit


class AppendOptions(TypedDict, total=False):
    """The optional arguments of an append.

    Attributes:
        store: Takes frames above the limit. The bucket of the tenant with its name stands for it,
            made if there is none.
        inline_limit: Bytes of compact JSON that a row holds.
        tenant_id: The tenant, in a system unit.
        now: The clock of the append.
    """

    store: ObjectStore | None
    inline_limit: int
    tenant_id: UUID | None
    now: datetime | None


Frames = dict[tuple[str, int], int]
"""Row ids by stream and event id."""

LARGE = 32 * 1024 * 1024
"""Characters of a batch that PostgreSQL's jsonb surely holds: an array of numbers of one digit
takes six times as many bytes there, of 256 MB."""


async def append_batch(
    unit: Unit, ref: ConversationRef, tenant: UUID, batch: Batch, now: datetime | None
) -> list[Recorded]:
    """Append frames that their rows can hold."""
    encoded = _encode(unit, batch.rows)
    conversation = await lock_by_ref(unit, ref, tenant)
    if not batch.rows:
        return []
    append = _Append(unit, conversation, tenant, now)
    async with _guard(unit, encoded):
        inserted, recorded = await append.insert(encoded, len(batch.rows))
    return _told(batch.rows, inserted, recorded)


async def append_spilling(
    unit: Unit,
    ref: ConversationRef,
    tenant: UUID,
    batch: Batch,
    now: datetime | None,
    *,
    store: ObjectStore,
) -> list[Recorded]:
    """Append frames of which some go to *store*.

    Objects are written before the conversation is locked, so that no append waits for the store.
    Those of frames that are recorded already are left alone: the frame sent now may be another.
    """
    _encode(unit, batch.rows)  # what a column refuses is refused before anything is stored
    conversation = await require_by_ref(unit, ref, tenant)
    sent = {"conversation": conversation, **_encode(unit, map(_named, batch.rows))}
    recorded = await _recorded(unit, sent)
    spills = [spill for spill in spills_of(conversation, batch) if spill.frame not in recorded]
    for spill in spills:
        await store.put(spill.key, spill.content)
    if spills:  # Made, if need be, before the conversation is locked: its tenant is locked first.
        await require_bucket(unit, store, tenant)
    await lock_by_ref(unit, conversation, tenant)
    # What was recorded a moment ago and is purged by now still counts as recorded.
    recorded |= await _recorded(unit, sent)
    rows = {frame: row for row in batch.rows if (frame := _frame(row)) not in recorded}
    spills = [spill for spill in spills if spill.frame in rows]
    async with unit.savepoint():
        if spills:
            bucket = await require_bucket(unit, store, tenant, hold=True)
            keys = await store_objects(unit, (tenant, conversation, bucket), spills, now)
            for spill in spills:
                rows[spill.frame]["payload_object_id"] = keys[spill.key]
        append = _Append(unit, conversation, tenant, now)
        inserted, _ = await append.insert(_encode(unit, rows.values()), len(rows))
    return _told(batch.rows, inserted, recorded)


def _frame(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["stream_id"], row["event_id"]


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("stream_id", "event_id")}


def _told(rows: Sequence[Mapping[str, Any]], inserted: Frames, recorded: Frames) -> list[Recorded]:
    found = {**recorded, **inserted}
    return [Recorded(found[_frame(row)], _frame(row) in inserted) for row in rows]


def _encode(unit: Unit, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return encode_batch(events, rows, postgresql=unit.is_postgresql)


def _guard(unit: Unit, encoded: Mapping[str, str]) -> AbstractAsyncContextManager[None]:
    """Return a savepoint for a batch that the database may refuse for what becomes of it there.

    Others need none: the values are checked and the conversation is locked, nothing can fail.
    """
    return unit.savepoint() if len(encoded[PARAMETER]) > LARGE else nullcontext()


def _by_frame(rows: Iterable[Row[Any]]) -> Frames:
    return {(row.stream_id, row.event_id): row.id for row in rows}


async def _recorded(unit: Unit, parameters: dict[str, Any]) -> Frames:
    statement = recorded_frames(postgresql=unit.is_postgresql)
    return _by_frame(await unit.execute(statement, parameters))


@dataclass(frozen=True, slots=True)
class _Append:
    """An append to a conversation whose lock the caller holds."""

    unit: Unit
    conversation: UUID
    tenant: UUID
    now: datetime | None

    async def insert(self, encoded: Mapping[str, str], size: int) -> tuple[Frames, Frames]:
        """Insert what is not recorded of *size* frames; return what was, and what had been."""
        if not size:
            return {}, {}
        place = {"conversation": self.conversation, "tenant": self.tenant}
        parameters: dict[str, Any] = {**place, **encoded}
        inserted = await self._insert(parameters)
        recorded: Frames = {}
        if len(inserted) < size:
            recorded = await _recorded(self.unit, parameters)
        if len(recorded.keys() | inserted.keys()) < size:
            await open_segment(self.unit, self.conversation, self.tenant, now=self.now)
            inserted |= await self._insert(parameters)
        if inserted:
            hint_after_commit(self.unit, frames_topic(self.conversation))
        return inserted, recorded

    async def _insert(self, parameters: dict[str, Any]) -> Frames:
        moment: dict[str, Any] = {"now": self.unit.frozen(self.now)}
        if not self.unit.is_postgresql:
            newest = (await self.unit.execute(newest_stamps(), parameters)).one()
            moment = {"at": self.unit.stamp(self.now, newest.message, newest.frame)}
        statement = append_frames(postgresql=self.unit.is_postgresql)
        return _by_frame(await self.unit.execute(statement, {**parameters, **moment}))
