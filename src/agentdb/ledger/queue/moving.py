"""Taking runs out of their turn: cancelling, and queueing again."""

from __future__ import annotations

from uuid import UUID

from agentdb.errors import InvalidTransitionError, NotFoundError
from agentdb.ledger.queue.actions import QueueAction
from agentdb.ledger.queue.rows import QueueItem
from agentdb.ledger.queue.statements import (
    cancel_in,
    cancel_item,
    place_of,
    queue_state,
    requeue_item,
    step_back,
)
from agentdb.ledger.segments import open_segment
from agentdb.ledger.values import QueueItemStatus

_OVER = {QueueItemStatus.FAILED, QueueItemStatus.CANCELLED}


async def cancel(action: QueueAction, item: int) -> bool:
    """Cancel a run; see the repository."""
    conversation = await action.require_conversation(item)
    statement = cancel_item(confined=action.confined, postgresql=action.postgresql)
    cancelled = await action.write_ids(statement, item=item)
    if cancelled:
        await action.promote(conversation)
    return bool(cancelled)


async def cancel_in_conversation(action: QueueAction, conversation: UUID, *, running: bool) -> int:
    """Cancel what runs in a locked conversation, or what waits there, and return how many."""
    statement = cancel_in(running=running, postgresql=action.postgresql)
    cancelled = await action.write_ids(statement, conversation=conversation)
    if cancelled:
        await action.promote(conversation)
    return len(cancelled)


async def requeue(action: QueueAction, item: int) -> QueueItem:
    """Queue a run again; see the repository."""
    conversation = await action.require_conversation(item)
    over = await action.find(item)
    if over is None or over.status not in _OVER:
        raise InvalidTransitionError("a run is queued again that has failed or was cancelled")
    (state,) = await action.rows(queue_state(), conversation=conversation)
    # Its own may be hidden by now, and what waits in a hidden segment would run unseen.
    segment = state.segment or await open_segment(action.unit, conversation, over.tenant_id)
    statement = requeue_item(confined=action.confined)
    (again,) = await action.write(statement, item=item, segment=segment)
    await action.write_ids(step_back(), conversation=conversation, item=item)
    await action.promote(conversation)
    found = await action.find(item)
    return found or again


async def place(action: QueueAction, item: int) -> int:
    """Count the runs before one; see the repository."""
    rows = await action.rows(place_of(confined=action.confined), item=item)
    if not rows:
        raise NotFoundError("no such row of conversation_run_queue_items")
    ahead: int = rows[0].place
    return ahead
