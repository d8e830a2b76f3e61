"""Callers that start at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

from sqlalchemy.pool import QueuePool

from agentdb.database import Database
from agentdb.errors import ConfigurationError
from agentdb.testing.joined import is_joined

T = TypeVar("T")


class Outcomes(list[T | BaseException], Generic[T]):
    """What each caller returned or raised, in the order of their numbers."""

    @property
    def results(self) -> list[T]:
        """What was returned."""
        return [outcome for outcome in self if not isinstance(outcome, BaseException)]

    @property
    def errors(self) -> list[BaseException]:
        """What was raised."""
        return [outcome for outcome in self if isinstance(outcome, BaseException)]


async def run_concurrently(
    n: int, fn: Callable[[int], Awaitable[T]], *, database: Database | None = None
) -> Outcomes[T]:
    """Call *fn* in *n* tasks that are released together, and wait for all of them.

    A unit of work needs a connection of its own in each task, so the test has to carry the marker
    ``agentdb_commits``.

    Args:
        n: How many tasks.
        fn: Called with the number of the task, from 0.
        database: Opens its pool of connections first, so that the tasks do not meet one by one as
            their connections come up.

    Raises:
        ConfigurationError: *database* has one connection for all, because the test lacks the
            marker.
    """
    if database is not None:
        await _warm(database, n)
    barrier = asyncio.Barrier(n)

    async def call(number: int) -> T:
        await barrier.wait()
        return await fn(number)

    return Outcomes(await asyncio.gather(*map(call, range(n)), return_exceptions=True))


async def _warm(database: Database, n: int) -> None:
    if is_joined(database.engine.sync_engine):
        raise ConfigurationError("concurrent callers need connections: mark with agentdb_commits")
    pool = database.engine.pool
    async with AsyncExitStack() as stack:
        for _ in range(min(n, pool.size()) if isinstance(pool, QueuePool) else 0):
            # Connecting begins no transaction: on SQLite the second would wait for the first.
            await stack.enter_async_context(database.engine.connect())
