"""Storing the frames of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import Unpack

from agentdb.checks import check_fields
from agentdb.conversations.rows import ConversationRef
from agentdb.ledger.appends import AppendOptions
from agentdb.ledger.rows import Recorded
from agentdb.unit_of_work import UnitOfWork


async def append_ledger(
    uow: UnitOfWork,
    ref: ConversationRef,
    frames: Iterable[Mapping[str, Any]],
    **options: Unpack[AppendOptions],
) -> list[Recorded]:
    """Append ``public_sse_v1`` frames to the active segment of a conversation, in order.

    What ``uow.conversation_ledger_events.append`` does, which tells the whole of it: recorded
    frames are skipped and the rest stored, a frame above the limit goes gzipped to *store*
    before the conversation is locked, and its object and its row commit together.

    Args:
        uow: A unit of work.
        ref: The conversation.
        frames: JSON objects, as a client receives them.
        options: Store, limit, tenant and clock: see `AppendOptions`.

    Returns:
        What became of each frame, in order.

    Raises:
        NotFoundError: The tenant has no such conversation.
        InvalidValueError: A frame lacks a field, its event id does not increase within its stream,
            or it is too large and there is no store; nothing is stored.
    """
    check_fields(options, AppendOptions)
    return await uow.conversation_ledger_events.append(ref, frames, **options)
