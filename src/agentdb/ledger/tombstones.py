"""Frames that outlive the object which held them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, case, func, literal_column, null, select, true, update

from agentdb.conversations.statements import events
from agentdb.ledger.models import ConversationLedgerEvent
from agentdb.unit import Unit

PURGED = "payload_purged"
"""The field of a tombstone, always true, that tells it from a whole frame."""

_FIELDS = {
    "schema": "schema_version",
    "kind": "kind",
    "stream_id": "stream_id",
    "event_id": "event_id",
    "response_id": "response_id",
    "agent": "agent",
    "provider_sequence_number": "provider_sequence_number",
    "output_index": "output_index",
    "item_id": "item_id",
    "content_index": "content_index",
    "tool_call_id": "tool_call_id",
}
"""Columns by the field of a frame that they hold."""


async def holds_frames(unit: Unit, objects: Collection[UUID]) -> bool:
    """Return whether the payload of any frame is in one of the objects."""
    query = select(events.c.id).where(events.c.payload_object_id.in_(objects)).limit(1)
    return (await unit.execute(query)).first() is not None


async def leave_tombstones(unit: Unit, objects: Collection[UUID]) -> int:
    """Make tombstones of the frames in some objects, in one statement; return how many.

    A tombstone is what the columns of the frame tell, with ``"payload_purged": true``; it keeps its
    place in every replay. The caller has locked the objects, so that no frame comes to them.
    """
    tombstone = envelope(postgresql=unit.is_postgresql)
    changed: Any = update(events).where(events.c.payload_object_id.in_(objects))
    changed = changed.values(payload_json=tombstone, payload_object_id=None)
    frames = (await unit.execute(changed.returning(events.c.id))).scalars().all()
    for key in frames:
        await unit.refresh(ConversationLedgerEvent, key)
    return len(frames)


def envelope(*, postgresql: bool) -> ColumnElement[Any]:
    """Return a frame made of its columns; fields without a value are left out, as in the stream."""
    made = func.jsonb_build_object if postgresql else func.json_object
    fields = {field: events.c[name] for field, name in _FIELDS.items()}
    fields["server_timestamp"] = _timestamp(postgresql=postgresql)
    run = events.c.workflow_run_id
    workflow = case((run.is_not(None), made(_key("workflow_run_id"), run)), else_=null())
    fields["workflow"] = workflow if postgresql else func.json(workflow)
    fields[PURGED] = true() if postgresql else func.json("true")
    pairs = [part for field, value in fields.items() for part in (_key(field), value)]
    if postgresql:
        return func.jsonb_strip_nulls(made(*pairs))
    # A merge patch drops what is null (RFC 7396, https://www.sqlite.org/json1.html#jpatch).
    return func.json_patch("{}", made(*pairs))


def _key(field: str) -> ColumnElement[Any]:
    # PostgreSQL cannot tell the type of a parameter among arguments of any type.
    return literal_column(f"'{field}'")


def _timestamp(*, postgresql: bool) -> ColumnElement[Any]:
    """Return the stamp of a frame as it is sent: UTC in milliseconds."""
    stamp = events.c.server_timestamp
    if postgresql:
        form: ColumnElement[Any] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'""")
        return func.to_char(func.timezone(literal_column("'UTC'"), stamp), form)
    # strftime would round; the text is of fixed width.
    day = func.substr(stamp, 1, 10, type_=Text())
    return day.concat("T").concat(func.substr(stamp, 12, 12, type_=Text())).concat("Z")
