"""Conversations as the tests of this folder begin them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from agentdb import NewMessage, Page, UnitOfWork
from agentdb.conversations.models import AgentConversation
from agentdb.operations import append_messages, truncate_from

Read = Callable[[str | None], Awaitable[Page[Any]]]


def said(*texts: str) -> list[NewMessage]:
    """Return messages of a user."""
    return [NewMessage(role="user", content=text) for text in texts]


async def begun(uow: UnitOfWork, key: str = "support-42", **values: Any) -> AgentConversation:
    """Return a new conversation; *values* are set past the verbs."""
    conversation, _ = await uow.agent_conversations.get_or_create(key, "triage")
    return await uow.agent_conversations.update(conversation.id, **values)


async def told(uow: UnitOfWork, key: str, *texts: str) -> UUID:
    """Return the id of a conversation in which the user has said *texts*."""
    conversation, _ = await append_messages(uow, key, said(*texts), create="triage")
    return conversation.id


async def cut(uow: UnitOfWork, conversation: UUID, position: int) -> None:
    """Hide the message at a position and all that follow it."""
    page = await uow.agent_messages.transcript(conversation, limit=500)
    (hit,) = [row for row in page if row.position == position]
    await truncate_from(uow, conversation, hit.id)


async def walked(read: Read) -> list[list[Any]]:
    """Return the pages of a walk."""
    pages: list[list[Any]] = []
    after: str | None = None
    while after is not None or not pages:
        page = await read(after)
        pages.append(list(page))
        after = page.next_cursor
    return pages
