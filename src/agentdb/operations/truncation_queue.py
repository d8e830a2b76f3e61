"""What becomes of the runs that wait while a truncation hides the end of a conversation."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from agentdb.errors import ConflictError
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.queue.statements import HEADS
from agentdb.ledger.values import QueueItemStatus
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork

_ITEMS: Any = table_of(ConversationRunQueueItem)
_WAITING = (QueueItemStatus.QUEUED, QueueItemStatus.READY)


async def check_queue(uow: UnitOfWork, conversation: UUID, *, cancel: bool) -> None:
    """Refuse a truncation that runs stand against; the caller holds the lock.

    Raises:
        ConflictError: A run of the conversation is at work, or some wait and *cancel* is not set.
    """
    own = _ITEMS.c.conversation_id == conversation
    head = select(_ITEMS.c.status).where(own, _is(*HEADS))
    # A claim does not lock the conversation: with the head locked, none can come in between.
    heads = await uow.execute(head.with_for_update())
    if QueueItemStatus.RUNNING in heads.scalars().all():
        raise ConflictError("a run of the conversation is at work")
    if not cancel and await _any(uow, _waiting(conversation)):
        raise ConflictError("runs of the conversation wait: cancel them as well")


async def cancel_waiting(uow: UnitOfWork, conversation: UUID, at: datetime) -> None:
    """Cancel what waits.

    None of it is left: the active segment is hidden, in part at least, and so were all others
    before. A run that names one of those, or none, is of another origin.
    """
    cancelled = {"status": QueueItemStatus.CANCELLED, "cancelled_at": at}
    await _write(uow, update(_ITEMS).where(*_waiting(conversation)).values(**cancelled))


def _is(*statuses: QueueItemStatus) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = _ITEMS.c.status.in_(statuses)
    return condition


def _waiting(conversation: UUID) -> list[ColumnElement[bool]]:
    return [_ITEMS.c.conversation_id == conversation, _is(*_WAITING)]


async def _any(uow: UnitOfWork, where: list[ColumnElement[bool]]) -> bool:
    query = select(_ITEMS.c.id).where(*where).limit(1)
    return (await uow.execute(query)).first() is not None


async def _write(uow: UnitOfWork, statement: Any) -> None:
    changed = await uow.execute(statement.returning(_ITEMS.c.id))
    for key in changed.scalars().all():
        await uow.refresh(ConversationRunQueueItem, key)
