"""Opening a segment; the caller holds the lock of the conversation."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import insert, select

from agentdb.conversations.statements import segments
from agentdb.types import utc_now, uuid_pk
from agentdb.unit import Unit


async def open_segment(unit: Unit, conversation: UUID, tenant: UUID) -> UUID:
    """Open the next segment of a conversation that has no active one, and return its id."""
    latest = (
        select(segments.c.id, segments.c.segment_index)
        .where(segments.c.conversation_id == conversation)
        .order_by(segments.c.segment_index.desc())
        .limit(1)
    )
    parent = (await unit.execute(latest)).one_or_none()
    key, at = uuid_pk(), unit.frozen() or utc_now()
    values = {
        "id": key,
        "tenant_id": tenant,
        "conversation_id": conversation,
        "segment_index": 0 if parent is None else parent.segment_index + 1,
        "parent_segment_id": None if parent is None else parent.id,
        "created_at": at,
        "updated_at": at,
    }
    await unit.execute(insert(segments).values(**values))
    return key
