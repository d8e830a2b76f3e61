"""A savepoint around several verbs on a conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from agentdb.conversations.models import AgentConversation
from agentdb.errors import ConflictError, InvalidValueError, LeaseLostError, NotFoundError
from agentdb.unit_of_work import UnitOfWork

_REFUSALS = (ConflictError, InvalidValueError, LeaseLostError, NotFoundError)
"""After these the unit goes on; after others there may be no connection to read by."""


@asynccontextmanager
async def undo_with(uow: UnitOfWork) -> AsyncGenerator[Callable[[UUID], None]]:
    """Open a savepoint that undoes what loaded conversations tell, too.

    Verbs bring a loaded entity up to date by reading it, which the session does not undo with the
    savepoint. Yields a function that names a conversation whose entity is read again then.
    """
    touched: list[UUID] = []
    try:
        async with uow.savepoint():
            yield touched.append
    except _REFUSALS:
        for key in touched:
            await _restore(uow, key)
        raise


async def _restore(uow: UnitOfWork, key: UUID) -> None:
    if uow.loaded(AgentConversation, (key,)) is None:
        return
    if await uow.agent_conversations.get(key) is None:  # which reads it anew
        uow.forget(AgentConversation, (key,))
