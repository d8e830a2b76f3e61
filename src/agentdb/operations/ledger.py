"""Storing the frames of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from agentdb.conversations.rows import ConversationRef
from agentdb.ledger.frames import INLINE_LIMIT
from agentdb.ledger.rows import Recorded
from agentdb.objects import ObjectStore
from agentdb.unit_of_work import UnitOfWork


async def append_ledger(
    uow: UnitOfWork,
    ref: ConversationRef,
    frames: Iterable[Mapping[str, Any]],
    *,
    store: ObjectStore | None = None,
    inline_limit: int = INLINE_LIMIT,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> list[Recorded]:
    """Append ``public_sse_v1`` frames to the active segment of a conversation, in order.

    What ``uow.conversation_ledger_events.append`` does, which tells the whole of it: recorded
    frames are skipped and the rest stored, a frame above *inline_limit* goes gzipped to *store*
    before the conversation is locked, and its object and its row commit together.

    Args:
        uow: A unit of work.
        ref: The conversation.
        frames: JSON objects, as a client receives them.
        store: Takes larger frames.
        inline_limit: Bytes of compact JSON that a row holds.
        tenant_id: The tenant, in a system unit.
        now: The clock of the append.

    Returns:
        What became of each frame, in order.

    Raises:
        NotFoundError: The tenant has no such conversation.
        InvalidValueError: A frame lacks a field, its event id does not increase within its stream,
            or it is too large and there is no store; nothing is stored.
    """
    return await uow.conversation_ledger_events.append(
        ref, frames, store=store, inline_limit=inline_limit, tenant_id=tenant_id, now=now
    )
