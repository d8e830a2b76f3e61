"""Appending frames, under the lock of their conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, TypedDict
from uuid import UUID

from agentdb.batch import (
    Columns,
    check_columns,
    encode_batch,
    guard_batch,
    plain_columns,
    plain_rows,
    rows_in_turn,
    send_in_turn,
    stored_instant,
)
from agentdb.conversations.refs import lock_and_send, lock_by_ref, read_state, require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import events
from agentdb.direct import Row
from agentdb.hints import hint_after_commit
from agentdb.ledger.frames import Batch
from agentdb.ledger.rows import Recorded, frames_topic
from agentdb.ledger.segments import open_segment
from agentdb.ledger.spills import require_bucket, spills_of, store_objects
from agentdb.ledger.statements import (
    GIVEN,
    append_frame_embedded,
    append_frames,
    frames_after,
    recorded_frame_embedded,
    recorded_frames,
)
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


def check_frames(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Return the rows of `read_batch` as checked columns.

    Raises:
        InvalidValueError: A column refuses its value.
    """
    return check_columns(events, {name: [row.get(name) for row in rows] for name in GIVEN})


async def append_batch(
    unit: Unit, ref: ConversationRef, tenant: UUID, batch: Batch, now: datetime | None
) -> list[Recorded]:
    """Append frames that their rows can hold."""
    columns = check_frames(batch.rows)
    if not batch.rows:
        await lock_by_ref(unit, ref, tenant)
        return []
    inserted, recorded = await _insert(unit, ref, tenant, columns, now)
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
    columns = check_frames(batch.rows)
    _form(unit, columns)  # what a statement refuses is refused before anything is stored
    conversation = await require_by_ref(unit, ref, tenant)
    recorded = await _recorded(unit, conversation, columns)
    spills = [spill for spill in spills_of(conversation, batch) if spill.frame not in recorded]
    for spill in spills:
        await store.put(spill.key, spill.content)
    if spills:  # Made, if need be, before the conversation is locked: its tenant is locked first.
        await require_bucket(unit, store, tenant)
    await lock_by_ref(unit, conversation, tenant)
    # What was recorded a moment ago and is purged by now still counts as recorded.
    recorded |= await _recorded(unit, conversation, columns)
    rows = {frame: row for row in batch.rows if (frame := _frame(row)) not in recorded}
    spills = [spill for spill in spills if spill.frame in rows]
    async with unit.savepoint():
        if spills:
            bucket = await require_bucket(unit, store, tenant, hold=True)
            keys = await store_objects(unit, (tenant, conversation, bucket), spills, now)
            for spill in spills:
                rows[spill.frame]["payload_object_id"] = keys[spill.key]
        left = check_frames(list(rows.values()))
        inserted = (await _insert(unit, conversation, tenant, left, now))[0] if rows else {}
    return _told(batch.rows, inserted, recorded)


def _frame(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["stream_id"], row["event_id"]


def _told(rows: Sequence[Mapping[str, Any]], inserted: Frames, recorded: Frames) -> list[Recorded]:
    found = {**recorded, **inserted}
    return [Recorded(found[frame], frame in inserted) for frame in map(_frame, rows)]


def _form(unit: Unit, columns: Columns) -> Any:
    """Return a batch as the statement of the database takes it."""
    if unit.is_postgresql:
        return encode_batch(events, columns)
    return plain_columns(events, tuple(columns), columns)


async def _recorded(unit: Unit, conversation: UUID, columns: Columns) -> Frames:
    """Return those frames of a batch that are recorded."""
    named = {name: columns[name] for name in ("stream_id", "event_id") if name in columns}
    place = {"conversation": conversation}
    if unit.is_postgresql:
        (rows,) = await unit.send((recorded_frames(), {**place, **encode_batch(events, named)}))
        return _by_frame(rows)
    wanted = plain_rows(events, tuple(named), named)
    calls = [(recorded_frame_embedded(), {**place, **row}) for row in wanted]
    return _by_frame(chain.from_iterable(await send_in_turn(unit, calls)))


def _by_frame(rows: Iterable[Row]) -> Frames:
    return {(stream, event): key for stream, event, key in rows}


async def _insert(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[Frames, Frames]:
    """Insert what is not recorded of a batch; return what was inserted, and what was recorded."""
    size = len(columns["event_id"])
    insert = _insert_batch if unit.is_postgresql else _insert_rows
    conversation, inserted = await insert(unit, ref, tenant, columns, now)
    recorded: Frames = {}
    if len(inserted) < size:
        recorded = await _recorded(unit, conversation, columns)
    if len(recorded.keys() | inserted.keys()) < size:
        await open_segment(unit, conversation, tenant, now=now)
        inserted |= (await insert(unit, conversation, tenant, columns, now))[1]
    if inserted:
        hint_after_commit(unit, frames_topic(conversation))
    return inserted, recorded


async def _insert_batch(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[UUID, Frames]:
    """Insert on PostgreSQL."""
    encoded = _form(unit, columns)
    parameters = {**encoded, "now": unit.frozen(now)}
    async with guard_batch(unit, encoded):
        sent = await lock_and_send(unit, ref, tenant, append_frames(), parameters)
    return sent[0], _by_frame(sent[1])


async def _insert_rows(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[UUID, Frames]:
    """Insert on SQLite, where the unit holds the write lock."""
    form = _form(unit, columns)
    state = await read_state(unit, ref, tenant)
    if state.segment is None:
        return state.conversation, {}
    at = unit.stamp(now, state.newest_message, state.newest_frame)
    place = {
        "tenant_id": tenant.hex,
        "conversation_id": state.conversation.hex,
        "segment_id": state.segment.hex,
        "ingested_at": stored_instant(at),
    }
    size = len(columns["event_id"])
    written = form | {name: [value] * size for name, value in place.items()}
    insert = append_frame_embedded(names=tuple(written))
    *turns, last = rows_in_turn(written)
    for turn in turns:
        await unit.send((insert, turn))
    mine = {"tenant": tenant, "conversation": state.conversation, "after": state.last_frame or 0}
    _, found = await unit.send((insert, last), (frames_after(), mine))
    return state.conversation, _by_frame(found)
