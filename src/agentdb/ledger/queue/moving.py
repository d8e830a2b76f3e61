"""Taking runs out of their turn: cancelling, and queueing again."""

from __future__ import annotations

from uuid import UUID

from agentdb.errors import InvalidTransitionError, NotFoundError
from agentdb.ledger.queue.actions import NO_ITEM, QueueAction
from agentdb.ledger.queue.rows import QueueItem
from agentdb.ledger.queue.statements import (
    QueueState,
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
    statement = cancel_item(confined=action.confined, postgresql=action.postgresql)
    cancelled = await action.move(item, statement)
    if cancelled is None:
        raise NotFoundError(NO_ITEM)
    return bool(cancelled)


async def cancel_in_conversation(action: QueueAction, conversation: UUID, *, running: bool) -> int:
    """Cancel what runs in a locked conversation, or what waits there, and return how many."""
    statement = cancel_in(running=running, postgresql=action.postgresql)
    return await action.move_in(conversation, statement)


async def requeue(action: QueueAction, item: int) -> QueueItem:
    """Queue a run again; see the repository."""
    conversation = await action.require_conversation(item)
    over = await action.find(item)
    if over is None or over.status not in _OVER:
        raise InvalidTransitionError("a run is queued again that has failed or was cancelled")
    ((found,),) = await action.send(queue_state(), conversation=conversation)
    # Its own may be hidden by now, and what waits in a hidden segment would run unseen.
    active = QueueState(*found).segment
    segment = active or await open_segment(action.unit, conversation, over.tenant_id)
    statement = requeue_item(confined=action.confined)
    (again,) = await action.write(statement, item=item, segment=segment)
    await action.move_in(conversation, step_back(), item=item)
    return await action.find(item) or again


async def place(action: QueueAction, item: int) -> int:
    """Count the runs before one; see the repository."""
    (rows,) = await action.send(place_of(confined=action.confined), item=item)
    if not rows:
        raise NotFoundError(NO_ITEM)
    ahead: int = rows[0][0]
    return ahead
