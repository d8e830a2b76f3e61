"""Callers that start at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from agentdb.database import Database

T = TypeVar("T")


async def run_concurrently(
    n: int, fn: Callable[[int], Awaitable[T]], *, database: Database | None = None
) -> list[T | BaseException]:
    """Call *fn* in *n* tasks that are released together.

    A unit of work needs a connection of its own in each task, so the test has to carry the marker
    ``agentdb_commits``.

    Args:
        n: How many tasks.
        fn: Called with the number of the task, from 0.
        database: Opens its pool of connections first, so that the tasks do not meet one by one as
            their connections come up.

    Returns:
        What the calls returned or raised, in the order of the tasks.
    """
    if database is not None:
        await _warm(database, min(n, database.settings.pool_size))
    barrier = asyncio.Barrier(n)

    async def call(number: int) -> T:
        await barrier.wait()
        return await fn(number)

    return await asyncio.gather(*map(call, range(n)), return_exceptions=True)


async def _warm(database: Database, n: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(n):
            # Connecting begins no transaction: on SQLite the second would wait for the first.
            await stack.enter_async_context(database.engine.connect())
