"""COMMIT, and what else runs to its end whatever happens to the task that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from agentdb.driver_errors import orm_errors
from agentdb.errors import CommitUnknownError, UnavailableError


async def finish(session: AsyncSession) -> None:
    """Flush what is pending, and commit; a cancellation is heard until COMMIT is sent.

    Raises:
        AgentDBError: A row that was pending is refused.
        CommitUnknownError: The connection was lost before the answer came.
    """
    if session.new or session.dirty or session.deleted:
        with orm_errors():
            await session.flush()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        # A cancellation that is already waiting is heard here, before COMMIT.
        await asyncio.sleep(0)
    await to_the_end(commit(session))


async def commit(session: AsyncSession) -> None:
    """Send COMMIT.

    Raises:
        CommitUnknownError: The connection was lost before the answer came.
    """
    try:
        with orm_errors():
            await session.commit()
    except UnavailableError as error:
        raise CommitUnknownError("the connection was lost while COMMIT was under way") from error


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* to its end even if this task is cancelled, which is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
