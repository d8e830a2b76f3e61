"""Going back in a conversation: a message and all that followed it are hidden."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, or_, select, update

from agentdb.conversations.models import AgentConversation, ConversationSummary
from agentdb.conversations.refs import lock_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import (
    conversations,
    events,
    messages,
    segments,
    visible_message,
)
from agentdb.conversations.values import MessageRole
from agentdb.errors import (
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
)
from agentdb.ledger.models import ConversationLedgerSegment
from agentdb.ledger.segments import open_segment
from agentdb.ledger.statements import visible_frame
from agentdb.operations.truncation_queue import cancel_waiting, check_queue
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork

_MAX_ROW = 2**63 - 1
_SUMMARIES: Any = table_of(ConversationSummary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """What a truncation left.

    Attributes:
        active: The new segment, where what is appended from now on goes.
        hidden_messages: Messages that were visible before.
        hidden_events: Frames that were visible before.
        remaining: Messages that are still visible.
    """

    active: ConversationLedgerSegment
    hidden_messages: int
    hidden_events: int
    remaining: int


async def truncate_from(
    uow: UnitOfWork,
    ref: ConversationRef,
    message_id: int,
    *,
    actor_user_id: UUID | None = None,
    through_event_id: int | None = None,
    cancel_queue: bool = False,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Truncated:
    """Hide a message of the user and all that followed it, as before it is asked anew.

    The conversation is locked until the unit ends: a concurrent append is wholly before the
    truncation, and hidden by it, or wholly after, and visible. Nothing is deleted but summaries,
    which may tell of what is hidden; `maintenance.purge_truncated` removes the rest later.

    Args:
        uow: A unit of work.
        ref: The conversation.
        message_id: A visible message of the user.
        actor_user_id: Who asks for it; None asks for nobody and is not checked.
        through_event_id: Row of the last frame that stays visible in the segment of the message, 0
            for none; None keeps those that were appended before the message.
        cancel_queue: Cancel the runs that wait; else they stand against it.
        tenant_id: The tenant, in a system unit.
        now: The clock of the truncation.

    Raises:
        NotFoundError: The tenant has no such conversation, or that no such message.
        InvalidTransitionError: The message is hidden already, or not of the user.
        PermissionDeniedError: The conversation has an owner, and it is not the actor.
        ConflictError: A run is at work, or some wait and *cancel_queue* is not set.
        InvalidValueError: *through_event_id* is no row id.
    """
    _check_row(through_event_id)
    tenant = uow.scope.owner(tenant_id)
    conversation = await lock_by_ref(uow, ref, tenant)
    await _check_actor(uow, conversation, actor_user_id)
    hit = await _find(uow, conversation, message_id)
    await check_queue(uow, conversation, cancel=cancel_queue)
    # No savepoint: nothing below can fail on data.
    cut = _Cut(uow, conversation, hit, await _event_bound(uow, hit, through_event_id))
    hidden_messages, remaining = await cut.count_messages()
    hidden_events = await cut.count_events()
    at = await uow.read_clock(now)
    await cut.hide(at)
    active = await open_segment(uow, conversation, tenant, parent=hit.segment_id, now=at)
    await cut.forget_summaries()
    await cancel_waiting(uow, conversation, at)
    await _touch(uow, conversation, at)
    return Truncated(
        active=await uow.conversation_ledger_segments.require(active),
        hidden_messages=hidden_messages,
        hidden_events=hidden_events,
        remaining=remaining,
    )


def _check_row(row: int | None) -> None:
    if row is not None and (type(row) is not int or not 0 <= row <= _MAX_ROW):
        raise InvalidValueError("the id of a row is a whole number from 0")


async def _check_actor(uow: UnitOfWork, conversation: UUID, actor: UUID | None) -> None:
    query = select(conversations.c.user_id).where(conversations.c.id == conversation)
    owner = (await uow.execute(query)).scalar_one()
    if actor is not None and owner not in {None, actor}:
        raise PermissionDeniedError("the conversation belongs to another user")


async def _find(uow: UnitOfWork, conversation: UUID, message: int) -> Row[Any]:
    query = (
        select(
            messages.c.position,
            messages.c.role,
            messages.c.created_at,
            messages.c.segment_id,
            segments.c.segment_index,
            segments.c.visible_through_event_id,
            visible_message().label("is_visible"),
        )
        .join(segments, segments.c.id == messages.c.segment_id)
        .where(messages.c.id == message, messages.c.conversation_id == conversation)
    )
    found = (await uow.execute(query)).one_or_none()
    if found is None:
        raise NotFoundError("no such row of agent_messages")
    if not found.is_visible:
        raise InvalidTransitionError("the message is hidden already")
    if found.role != MessageRole.USER:
        raise InvalidTransitionError("a conversation goes back to a message of the user")
    return found


async def _event_bound(uow: UnitOfWork, hit: Row[Any], given: int | None) -> int:
    """Return the last frame to stay visible in the segment of the message.

    What an earlier truncation of the segment has hidden stays hidden.
    """
    bound = given
    if bound is None:
        # Stamps follow the order of the appends, whatever the clocks say.
        before = and_(events.c.segment_id == hit.segment_id, events.c.ingested_at < hit.created_at)
        query = select(events.c.id).where(before).order_by(events.c.id.desc()).limit(1)
        bound = (await uow.execute(query)).scalar_one_or_none() or 0
    known = hit.visible_through_event_id
    return bound if known is None else min(bound, known)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a conversation is cut; the caller holds its lock."""

    uow: UnitOfWork
    conversation: UUID
    hit: Row[Any]
    bound: int

    async def count_messages(self) -> tuple[int, int]:
        """Return how many visible messages the cut hides, and how many it leaves."""
        gone = messages.c.position >= self.hit.position
        query = (
            select(func.count().filter(gone).label("hidden"), func.count().label("visible"))
            .select_from(messages.join(segments, segments.c.id == messages.c.segment_id))
            .where(messages.c.conversation_id == self.conversation, visible_message())
        )
        found = (await self.uow.execute(query)).one()
        return found.hidden, found.visible - found.hidden

    async def count_events(self) -> int:
        """Return how many visible frames the cut hides."""
        gone = or_(
            segments.c.segment_index > self.hit.segment_index,
            and_(segments.c.id == self.hit.segment_id, events.c.id > self.bound),
        )
        query = (
            select(func.count())
            .select_from(segments.join(events, events.c.segment_id == segments.c.id))
            .where(segments.c.conversation_id == self.conversation, gone, visible_frame())
        )
        count: int = (await self.uow.execute(query)).scalar_one()
        return count

    async def hide(self, at: datetime) -> None:
        """Bound the segment of the message, and close those that follow it altogether."""
        own = segments.c.conversation_id == self.conversation
        later = segments.c.segment_index > self.hit.segment_index
        # A segment without anything visible was hidden earlier, and may be purged earlier.
        shows = or_(
            segments.c.truncated_at.is_(None),
            segments.c.visible_through_message_position > -1,
            segments.c.visible_through_event_id > 0,
        )
        await self._bound(
            segments.c.id == self.hit.segment_id, self.hit.position - 1, self.bound, at
        )
        await self._bound(and_(own, later, shows), -1, 0, at)

    async def _bound(self, where: Any, position: int, event: int, at: datetime) -> None:
        statement = (
            update(segments)
            .where(where)
            .values(
                truncated_at=at,
                visible_through_message_position=position,
                visible_through_event_id=event,
                updated_at=at,
            )
        )
        changed = await self.uow.execute(statement.returning(segments.c.id))
        for key in changed.scalars().all():
            await self.uow.refresh(ConversationLedgerSegment, key)

    async def forget_summaries(self) -> None:
        """Delete the summaries of the conversation."""
        mine = _SUMMARIES.c.conversation_id == self.conversation
        deleted = await self.uow.execute(delete(_SUMMARIES).where(mine).returning(_SUMMARIES.c.id))
        for key in deleted.scalars().all():
            self.uow.forget(ConversationSummary, (key,))


async def _touch(uow: UnitOfWork, conversation: UUID, at: datetime) -> None:
    changed = update(conversations).where(conversations.c.id == conversation)
    await uow.execute(changed.values(updated_at=at))
    await uow.refresh(AgentConversation, conversation)
