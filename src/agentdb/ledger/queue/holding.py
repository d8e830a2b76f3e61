"""What the worker of a run does with it, fenced by the attempt."""

from __future__ import annotations

from agentdb.ledger.queue.actions import QueueAction
from agentdb.ledger.queue.hints import hint_ready
from agentdb.ledger.queue.rows import QueueItem, encode_object, stored_item
from agentdb.ledger.queue.statements import (
    complete_item,
    fail_item,
    hold_item,
    items,
    lock_conversation_of,
    renew_lease,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.types import JsonObject


async def heartbeat(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Renew the lease; see the repository."""
    which = {"confined": action.confined, "postgresql": action.postgresql}
    renewed = await action.write(renew_lease(**which), last=True, item=item, attempt=attempt)
    if renewed:
        return renewed[0]
    found = await action.find(item)
    if found and found.status == QueueItemStatus.RUNNING and found.attempt == attempt:
        return found  # `hold` has the row, so nobody can take it over
    return await action.lost(item, attempt)


async def hold(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Lock the run; see the repository."""
    # What the unit goes on to write locks the conversation, and that comes first.
    which = {"confined": action.confined}
    statements = lock_conversation_of(**which), hold_item(**which)
    _, held = await action.send(*statements, item=item, attempt=attempt)
    await action.refresh(row[0] for row in held)
    return stored_item(held[0]) if held else await action.lost(item, attempt)


async def complete(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Complete the run; see the repository."""
    statement = complete_item(confined=action.confined, postgresql=action.postgresql)
    done = await action.move(item, statement, attempt=attempt)
    return stored_item(done[0]) if done else await action.lost(item, attempt)


async def fail(
    action: QueueAction, item: int, attempt: int, *, error: JsonObject, max_attempts: int
) -> QueueItem:
    """Fail the run; see the repository."""
    text = encode_object(items.c.error_json, error)
    statement = fail_item(confined=action.confined, postgresql=action.postgresql)
    parameters = {"error": text, "max_attempts": max_attempts}
    rows = await action.move(item, statement, attempt=attempt, **parameters)
    if not rows:
        return await action.lost(item, attempt)
    failed = stored_item(rows[0])
    if failed.status == QueueItemStatus.READY:
        hint_ready(action.unit)
    return failed
