"""Deleting a conversation, and finding what it leaves in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from agentdb.conversations.models import (
    AgentConversation,
    AgentMessage,
    AgentRunEvent,
    AgentRunUsage,
    ConversationSummary,
)
from agentdb.conversations.refs import lock_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import NotFoundError
from agentdb.ledger.models import (
    ConversationLedgerEvent,
    ConversationLedgerSegment,
    ConversationRunQueueItem,
)
from agentdb.ledger.objects import LeftObject, leave_objects
from agentdb.orm import Base
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork
from agentdb.workflows.models import WorkflowRun

_PARTS: tuple[type[Base], ...] = (
    AgentMessage,
    AgentRunEvent,
    AgentRunUsage,
    ConversationLedgerEvent,
    ConversationLedgerSegment,
    ConversationRunQueueItem,
    ConversationSummary,
)
"""What goes with its conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What went with a conversation.

    Attributes:
        counts: Rows by table, that of the conversation included.
        objects: Objects of its frames, soft-deleted; their bytes are still in the store.
    """

    counts: dict[str, int]
    objects: tuple[LeftObject, ...]


async def delete_conversation(
    uow: UnitOfWork,
    ref: ConversationRef,
    *,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Deleted | None:
    """Delete a conversation with its messages, frames, runs, summaries and usage; for good.

    The objects of its frames are soft-deleted: remove their bytes from the store after the commit,
    and the rows with `storage_objects.purge`. Other objects lose their conversation, as workflow
    runs do, and stay. A concurrent append is wholly before, and deleted, or finds no conversation.

    Args:
        uow: A unit of work.
        ref: The conversation.
        tenant_id: The tenant, in a system unit.
        now: The clock of the deletion.

    Returns:
        What was deleted; None if the tenant has no such conversation.
    """
    tenant = uow.scope.owner(tenant_id)
    try:
        conversation = await lock_by_ref(uow, ref, tenant)
    except NotFoundError:
        return None
    counts = {model.__tablename__: await _count(uow, model, conversation) for model in _PARTS}
    events: Any = table_of(ConversationLedgerEvent)
    spilled = select(events.c.payload_object_id).where(
        events.c.conversation_id == conversation, events.c.payload_object_id.is_not(None)
    )
    objects = await leave_objects(uow, spilled, await uow.read_clock(now))
    named = select(WorkflowRun.id).where(
        WorkflowRun.conversation_id.in_(
            select(AgentConversation.conversation_key).where(AgentConversation.id == conversation)
        )
    )
    runs = (await uow.execute(named)).scalars().all()
    await uow.agent_conversations.delete(conversation)
    for run in runs:  # which the database has taken from it
        await uow.refresh(WorkflowRun, run)
    counts[AgentConversation.__tablename__] = 1
    return Deleted(counts=counts, objects=objects)


async def _count(uow: UnitOfWork, model: type[Base], conversation: UUID) -> int:
    table: Any = table_of(model)
    mine = table.c.conversation_id == conversation
    query = select(func.count()).select_from(table).where(mine)
    count: int = (await uow.execute(query)).scalar_one()
    return count
