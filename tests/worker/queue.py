"""A conversation with queued runs, in a database with connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from agentdb.database import Database
from agentdb.ledger.queue.rows import QueueItem, queue_item
from tests.ledger.queues import CHAT, queued

PATIENCE = 20.0
"""Seconds until a test gives up what does not happen."""


async def fill(database: Database, tenant: UUID, count: int = 1, key: str = CHAT) -> list[int]:
    """Queue runs and commit."""
    async with database.begin(tenant=tenant) as uow:
        return await queued(uow, count, key)


async def row(database: Database, key: int) -> QueueItem:
    """Read a run as it is stored."""
    async with database.read(reason="test") as uow:
        return queue_item(await uow.conversation_run_queue_items.require(key))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it holds, for as long as the patience lasts."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 -- what is awaited is in the database
            await asyncio.sleep(0.01)


async def cancelled_by(database: Database, tenant: UUID, key: int) -> None:
    """Cancel a run as a user would."""
    async with database.begin(tenant=tenant) as uow:
        assert await uow.conversation_run_queue_items.cancel(key)
