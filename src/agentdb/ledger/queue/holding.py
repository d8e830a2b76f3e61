"""What the worker of a run does with it, fenced by the attempt."""

from __future__ import annotations

from agentdb.ledger.queue.actions import QueueAction
from agentdb.ledger.queue.hints import hint_ready
from agentdb.ledger.queue.rows import QueueItem, encode_object
from agentdb.ledger.queue.statements import (
    complete_item,
    fail_item,
    hold_item,
    items,
    renew_lease,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.types import JsonObject


async def heartbeat(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Renew the lease; see the repository."""
    which = {"confined": action.confined, "postgresql": action.postgresql}
    renewed = await action.write(renew_lease(**which), item=item, attempt=attempt)
    if renewed:
        return renewed[0]
    found = await action.find(item)
    if found and found.status == QueueItemStatus.RUNNING and found.attempt == attempt:
        return found  # `hold` has the row, so nobody can take it over
    return await action.lost(item, attempt)


async def hold(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Lock the run; see the repository."""
    # What the unit goes on to write locks the conversation, and that comes first.
    await action.lock_conversation(item)
    held = await action.write(hold_item(confined=action.confined), item=item, attempt=attempt)
    return held[0] if held else await action.lost(item, attempt)


async def complete(action: QueueAction, item: int, attempt: int) -> QueueItem:
    """Complete the run; see the repository."""
    conversation = await action.lock_conversation(item)
    statement = complete_item(confined=action.confined, postgresql=action.postgresql)
    done = await action.write(statement, item=item, attempt=attempt)
    if conversation is None or not done:
        return await action.lost(item, attempt)
    await action.promote(conversation)
    return done[0]


async def fail(
    action: QueueAction, item: int, attempt: int, *, error: JsonObject, max_attempts: int
) -> QueueItem:
    """Fail the run; see the repository."""
    text = encode_object(items.c.error_json, error)
    conversation = await action.lock_conversation(item)
    statement = fail_item(confined=action.confined, postgresql=action.postgresql)
    parameters = {"error": text, "max_attempts": max_attempts}
    failed = await action.write(statement, item=item, attempt=attempt, **parameters)
    if conversation is None or not failed:
        return await action.lost(item, attempt)
    if failed[0].status == QueueItemStatus.READY:
        hint_ready(action.unit)
    else:
        await action.promote(conversation)
    return failed[0]
