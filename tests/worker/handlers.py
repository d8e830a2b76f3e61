"""What worker processes of the tests do; they are told by the environment where to meet."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from agentdb import Database, NewMessage
from agentdb.ledger.queue.rows import QueueItem

GATE = "AGENTDB_TESTS_GATE"
"""The folder where `gated` tells that it has begun, and finds out that it may go on."""

GO = "go"

not_a_coroutine = "text"


def plain(_: Database, __: QueueItem) -> None:
    """Work without being a coroutine."""


async def gated(database: Database, item: QueueItem) -> None:
    """Begin, wait for the gate, and leave the trace of the run."""
    gate = Path(os.environ[GATE])
    (gate / f"{item.id}-{item.attempt}").touch()
    while not (gate / GO).exists():  # noqa: ASYNC110 -- another process opens the gate
        await asyncio.sleep(0.01)
    await trace(database, item)


async def holding(database: Database, item: QueueItem) -> None:
    """Leave the trace of the run; the first attempt waits for the gate, the run in its hands."""
    gate = Path(os.environ[GATE])
    async with database.begin(tenant=item.tenant_id) as uow:
        await uow.conversation_run_queue_items.hold(item.id, item.attempt)
        (gate / f"{item.id}-{item.attempt}").touch()
        while item.attempt == 1 and not (gate / GO).exists():  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.01)
        said = [NewMessage(role="assistant", content=str(item.id))]
        await uow.agent_messages.append(item.conversation_id, said)


async def hurried(database: Database, item: QueueItem) -> None:
    """Take a moment, and leave the trace of the run."""
    await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 -- work
    await trace(database, item)


async def trace(database: Database, item: QueueItem) -> None:
    """Append the id of the run to its conversation, and end it, both or neither."""
    async with database.begin(tenant=item.tenant_id) as uow:
        await uow.conversation_run_queue_items.hold(item.id, item.attempt)
        said = [NewMessage(role="assistant", content=str(item.id))]
        await uow.agent_messages.append(item.conversation_id, said)
        await uow.conversation_run_queue_items.complete(item.id, item.attempt)
