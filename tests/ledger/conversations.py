"""Conversations for tests of the ledger."""

from __future__ import annotations

from uuid import UUID

from agentdb import LedgerFrame, NewMessage, UnitOfWork


async def begun(uow: UnitOfWork, key: str = "chat") -> UUID:
    """Return the id of a conversation, new unless there is one."""
    conversation, _ = await uow.agent_conversations.get_or_create(key, "triage")
    return conversation.id


async def asked(uow: UnitOfWork, ref: UUID | str, text: str = "hello") -> int:
    """Append a message of the user, and return its id."""
    (row,) = await uow.agent_messages.append(ref, [NewMessage(role="user", content=text)])
    return row.id


async def walk(
    uow: UnitOfWork, ref: UUID | str, limit: int = 3, stream_id: str | None = None
) -> list[LedgerFrame]:
    """Replay a conversation page by page."""
    found: list[LedgerFrame] = []
    cursor: str | None = None
    more = True
    while more:
        page = await uow.conversation_ledger_events.replay(
            ref, after=cursor, limit=limit, stream_id=stream_id
        )
        found += page.items
        cursor, more = page.cursor, page.more
    return found


def places(frames: list[LedgerFrame]) -> list[tuple[str, int]]:
    """Return stream and event id of frames."""
    return [(item.stream_id, item.event_id) for item in frames]
