"""A savepoint around several verbs on one row."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from agentdb.errors import ConflictError, InvalidValueError, LeaseLostError, NotFoundError
from agentdb.repository import Repository
from agentdb.unit_of_work import UnitOfWork

_REFUSALS = (ConflictError, InvalidValueError, LeaseLostError, NotFoundError)
"""After these the unit goes on; after others there may be no connection to read by."""


@asynccontextmanager
async def undo_with(
    uow: UnitOfWork, repository: Repository[Any, UUID] | None = None
) -> AsyncGenerator[Callable[[UUID], None]]:
    """Open a savepoint that undoes what loaded entities of a table tell, too.

    Verbs bring a loaded entity up to date by reading it, which the session does not undo with the
    savepoint. Yields a function that names a row whose entity is read again then, of
    *repository*, which is that of conversations unless given.
    """
    touched: list[UUID] = []
    try:
        async with uow.savepoint():
            yield touched.append
    except _REFUSALS:
        for key in touched:
            await _restore(repository or uow.agent_conversations, key)
        raise


async def _restore(repository: Repository[Any, UUID], key: UUID) -> None:
    unit, model = repository.unit, repository.model
    if unit.loaded(model, (key,)) is None:
        return
    if await repository.get(key) is None:  # which reads it anew
        unit.forget(model, (key,))
