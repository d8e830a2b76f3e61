"""The statements of the ledger's hot verbs, built once for each dialect.

They run on bare tables, past the filter of the unit of work, and name the tenant themselves.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from agentdb.batch import ORDINAL, batch_rows
from agentdb.conversations.statements import (
    CONVERSATION,
    TENANT,
    Query,
    events,
    segments,
    stamp,
    stored,
)
from agentdb.types import BigInteger, RowId, String

GIVEN = (
    "schema_version",
    "kind",
    "stream_id",
    "event_id",
    "server_timestamp",
    "response_id",
    "agent",
    "workflow_run_id",
    "provider_sequence_number",
    "output_index",
    "item_id",
    "content_index",
    "tool_call_id",
    "payload_size_bytes",
    "payload_json",
    "payload_object_id",
)
"""Columns of a frame that its append supplies."""

_BEFORE_PAYLOAD = (
    "id",
    "stream_id",
    "event_id",
    "kind",
    "server_timestamp",
    "ingested_at",
    "response_id",
    "agent",
    "workflow_run_id",
)
_AFTER_PAYLOAD = ("payload_object_id", "payload_size_bytes")


_WRITTEN = ("tenant_id", "conversation_id", "segment_id", *GIVEN, "ingested_at")
_FRAME = (events.c.stream_id, events.c.event_id, events.c.id)
_AFTER = bindparam("after", type_=RowId())


@cache
def append_frames() -> Insert:
    """Append a batch on PostgreSQL; frames that are recorded already are left alone.

    The ids are drawn under the lock of the conversation, so that their order is the order of the
    commits: a reader past an id never misses a smaller one. It inserts nothing where the tenant's
    conversation has no active segment.
    """
    batch = batch_rows(events, GIVEN)
    clock = select(stamp().label("at")).cte("clock")
    rows = (
        select(
            segments.c.tenant_id,
            segments.c.conversation_id,
            segments.c.id,
            *(batch.c[name] for name in GIVEN),
            clock.c.at,
        )
        .select_from(segments.join(clock, true()).join(batch, true()))
        .where(
            segments.c.conversation_id == CONVERSATION,
            segments.c.tenant_id == TENANT,
            segments.c.truncated_at.is_(None),
        )
        .order_by(batch.c[ORDINAL])
    )
    inserted: Any = postgresql_insert(events)
    inserted = inserted.from_select(_WRITTEN, rows, include_defaults=False)
    statement: Insert = _recording(inserted).returning(*_FRAME)
    return statement


@cache
def append_frame_embedded(*, names: tuple[str, ...]) -> Insert:
    """Append a frame on SQLite, unless it is recorded already.

    Args:
        names: The columns that a frame of the batch has, each value as it is stored. To bind a
            NULL costs as much as to bind a value, and most frames have few columns.
    """
    values = {name: stored(name) for name in names}
    statement: Insert = _recording(sqlite_insert(events).values(values))
    return statement


def _recording(inserted: Any) -> Any:
    frame = [events.c.conversation_id, events.c.stream_id, events.c.event_id]
    return inserted.on_conflict_do_nothing(index_elements=frame)


@cache
def frames_after() -> Query:
    """Find the rows of the frames of a conversation after one of them."""
    mine = [events.c.tenant_id == TENANT, events.c.conversation_id == CONVERSATION]
    return select(*_FRAME).where(*mine, events.c.id > bindparam("after", type_=RowId()))


@cache
def recorded_frames() -> Query:
    """Find the rows of the frames of a batch, on PostgreSQL."""
    batch = batch_rows(events, ("stream_id", "event_id"))
    same = and_(events.c.stream_id == batch.c.stream_id, events.c.event_id == batch.c.event_id)
    return select(*_FRAME).join_from(
        batch, events, and_(events.c.conversation_id == CONVERSATION, same)
    )


@cache
def recorded_frame_embedded() -> Query:
    """Find the row of a frame, on SQLite."""
    wanted = [events.c[name] == stored(name) for name in ("stream_id", "event_id")]
    return select(*_FRAME).where(events.c.conversation_id == CONVERSATION, *wanted)


@cache
def replay(filters: frozenset[str], *, postgresql: bool) -> Query:
    """Read visible frames from position ``after`` on, the frame at the position included.

    The columns are those of `LedgerFrame`, in its order.

    Args:
        filters: Which of ``workflow_run_id``, ``stream_id``, ``kinds`` and ``floor`` restrict the
            frames.
        postgresql: Which database it is for.
    """
    equal = sorted(filters & {"workflow_run_id", "stream_id"})
    # Of a range of two columns SQLite compares the second row by row, from the first frame on.
    alone = not equal
    order, mine = _range_on() if postgresql and alone else ([events.c.id], _frames_on(alone=alone))
    conditions = [*mine, visible_frame()]
    if "floor" in filters:
        conditions.append(events.c.event_id > bindparam("floor", type_=BigInteger()))
    conditions.extend(events.c[name] == bindparam(name, type_=String()) for name in equal)
    if "kinds" in filters:
        kinds = bindparam("kinds", type_=String(), expanding=True)
        conditions.append(events.c.kind.in_(kinds))
    query = select(
        *(events.c[name] for name in _BEFORE_PAYLOAD),
        raw_payload(postgresql=postgresql),
        *(events.c[name] for name in _AFTER_PAYLOAD),
    )
    query = query.join(segments, segments.c.id == events.c.segment_id).where(*conditions)
    return query.order_by(*order).limit(bindparam("limit", type_=Integer()))


def _frames_on(*, alone: bool) -> list[ColumnElement[bool]]:
    """Return the condition to be a frame of the conversation from ``after`` on.

    Args:
        alone: Whether no run or stream, which have indexes of their own, is chosen; on SQLite.
            After ANALYZE it, too, would walk the primary key, see `_range_on`, unless it is told
            that the frames are few (https://www.sqlite.org/lang_corefunc.html#unlikely).
    """
    mine: ColumnElement[bool] = events.c.conversation_id == CONVERSATION
    return [
        events.c.tenant_id == TENANT,  # leads the indexes that a replay walks
        # Without a type: a boolean one is compared with 1 on SQLite, and then no index is used.
        func.unlikely(mine) if alone else mine,
        events.c.id >= _AFTER,
    ]


def _range_on() -> tuple[list[Column[Any]], list[ColumnElement[bool]]]:
    """Return an order of frames, and the same condition as `_frames_on`, as a range of the index.

    It is for PostgreSQL, where an equality makes the order that of the primary key as well: where
    there are few conversations, a plan for any of them then walks that key through the frames of
    all. The range of one conversation leaves the order to the index; the tenant stays an equality,
    for what the planner takes for the size of a range of both is too small or too large.
    """
    place = [events.c.conversation_id, events.c.id]
    return place, [
        events.c.tenant_id == TENANT,
        events.c.conversation_id >= CONVERSATION,
        events.c.conversation_id <= CONVERSATION,
        tuple_(*place) >= tuple_(CONVERSATION, _AFTER),
    ]


def raw_payload(*, postgresql: bool) -> ColumnElement[Any]:
    """Return the frame as text: reading it parsed would cost three times as much."""
    payload = events.c.payload_json
    return (cast(payload, Text) if postgresql else type_coerce(payload, Text)).label("raw")


@cache
def find_frame() -> Query:
    """Find a frame by its stream and event id, and how far the stream is recorded."""
    newest = select(func.max(events.c.event_id)).where(*_of_stream())
    position = (
        select(events.c.id)
        .join(segments, segments.c.id == events.c.segment_id)
        .where(
            *_of_stream(),
            events.c.event_id == bindparam("event", type_=BigInteger()),
            visible_frame(),
        )
    )
    return select(
        position.scalar_subquery().label("position"), newest.scalar_subquery().label("newest")
    )


def _of_stream() -> list[ColumnElement[bool]]:
    return [
        events.c.conversation_id == CONVERSATION,
        events.c.stream_id == bindparam("stream", type_=String()),
    ]


def visible_frame() -> ColumnElement[bool]:
    """Return the condition that a frame is not hidden by a truncation of its segment."""
    return or_(
        segments.c.truncated_at.is_(None), events.c.id <= segments.c.visible_through_event_id
    )
