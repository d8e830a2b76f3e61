"""Opening a segment; the caller holds the lock of the conversation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select

from agentdb.conversations.statements import segments
from agentdb.types import utc_now, uuid_pk
from agentdb.unit import Unit


async def open_segment(
    unit: Unit,
    conversation: UUID,
    tenant: UUID,
    *,
    parent: UUID | None = None,
    now: datetime | None = None,
) -> UUID:
    """Open the next segment of a conversation that has no active one, and return its id.

    Args:
        unit: The unit.
        conversation: The conversation.
        tenant: Its tenant.
        parent: The segment that it follows; None for the latest.
        now: The clock of the unit.
    """
    latest = (
        select(segments.c.id, segments.c.segment_index)
        .where(segments.c.conversation_id == conversation)
        .order_by(segments.c.segment_index.desc())
        .limit(1)
    )
    last = (await unit.execute(latest)).one_or_none()
    key, at = uuid_pk(), unit.frozen(now) or utc_now()
    values = {
        "id": key,
        "tenant_id": tenant,
        "conversation_id": conversation,
        "segment_index": 0 if last is None else last.segment_index + 1,
        "parent_segment_id": parent if parent or last is None else last.id,
        "created_at": at,
        "updated_at": at,
    }
    await unit.execute(insert(segments).values(**values))
    return key
