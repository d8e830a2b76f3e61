"""The statements of the ledger's hot verbs, built once for each dialect.

They run on bare tables, past the filter of the unit of work, and name the tenant themselves.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
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
    type_coerce,
)
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect

from agentdb.batch import ORDINAL, batch_rows
from agentdb.conversations.statements import (
    CONVERSATION,
    TENANT,
    Query,
    events,
    newest_frame,
    newest_message,
    segments,
    stamp,
)
from agentdb.types import BigInteger, RowId, String, UTCDateTime

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

_RETURNED = (
    "id",
    "stream_id",
    "event_id",
    "kind",
    "server_timestamp",
    "ingested_at",
    "response_id",
    "agent",
    "workflow_run_id",
    "payload_object_id",
    "payload_size_bytes",
)


@cache
def append_frames(*, postgresql: bool) -> Insert:
    """Append a batch to the active segment; frames that are recorded already are left alone.

    The ids are drawn under the lock of the conversation, so that their order is the order of the
    commits: a reader past an id never misses a smaller one. It inserts nothing where the
    conversation has no active segment. On SQLite the stamp comes as a parameter.
    """
    batch = batch_rows(events, GIVEN, postgresql=postgresql)
    at = bindparam("at", type_=UTCDateTime())
    clock = select((stamp() if postgresql else at).label("at")).cte("clock")
    rows = (
        select(
            segments.c.tenant_id,
            segments.c.conversation_id,
            segments.c.id,
            *(batch.c[name] for name in GIVEN),
            clock.c.at,
        )
        .select_from(segments.join(clock, true()).join(batch, true()))
        .where(segments.c.conversation_id == CONVERSATION, segments.c.truncated_at.is_(None))
        .order_by(batch.c[ORDINAL])
    )
    names = ["tenant_id", "conversation_id", "segment_id", *GIVEN, "ingested_at"]
    dialect = postgresql_dialect if postgresql else sqlite_dialect
    statement: Any = dialect.insert(events).from_select(names, rows, include_defaults=False)
    frame = [events.c.conversation_id, events.c.stream_id, events.c.event_id]
    statement = statement.on_conflict_do_nothing(index_elements=frame)
    inserted: Insert = statement.returning(events.c.id, events.c.stream_id, events.c.event_id)
    return inserted


@cache
def newest_stamps() -> Query:
    """Read on SQLite, under its write lock, what the stamp of an append must follow."""
    return select(newest_message().label("message"), newest_frame().label("frame"))


@cache
def recorded_frames(*, postgresql: bool) -> Query:
    """Find the rows of the frames of a batch."""
    batch = batch_rows(events, ("stream_id", "event_id"), postgresql=postgresql)
    same = and_(events.c.stream_id == batch.c.stream_id, events.c.event_id == batch.c.event_id)
    return select(events.c.id, events.c.stream_id, events.c.event_id).join_from(
        batch, events, and_(events.c.conversation_id == CONVERSATION, same)
    )


@cache
def replay(filters: frozenset[str], *, postgresql: bool) -> Query:
    """Read visible frames from position ``after`` on, the frame at the position included.

    Args:
        filters: Which of ``workflow_run_id``, ``stream_id``, ``kinds`` and ``floor`` restrict the
            frames.
        postgresql: Which database it is for.
    """
    conditions = [
        # The tenant leads the index that a replay walks.
        events.c.tenant_id == TENANT,
        events.c.conversation_id == CONVERSATION,
        events.c.id >= bindparam("after", type_=RowId()),
        visible_frame(),
    ]
    if "floor" in filters:
        conditions.append(events.c.event_id > bindparam("floor", type_=BigInteger()))
    equal = sorted(filters & {"workflow_run_id", "stream_id"})
    conditions.extend(events.c[name] == bindparam(name, type_=String()) for name in equal)
    if "kinds" in filters:
        kinds = bindparam("kinds", type_=String(), expanding=True)
        conditions.append(events.c.kind.in_(kinds))
    query = select(*(events.c[name] for name in _RETURNED), raw_payload(postgresql=postgresql))
    query = query.join(segments, segments.c.id == events.c.segment_id).where(*conditions)
    return query.order_by(events.c.id).limit(bindparam("limit", type_=Integer()))


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
