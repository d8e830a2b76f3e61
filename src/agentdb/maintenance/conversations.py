"""Maintenance of conversations: what they leave behind, and what they count."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, ColumnElement, Select, func, select, update
from typing_extensions import Unpack, override

from agentdb.conversations.models import AgentConversation, AgentRunEvent, ConversationSummary
from agentdb.conversations.statements import conversations, messages
from agentdb.database import Database
from agentdb.maintenance.aged import Aged, own
from agentdb.maintenance.runner import Batch, Counted, Plan, PlanOptions, Report, Sweep, run_sweeps
from agentdb.orm import Base
from agentdb.unit_of_work import UnitOfWork

KEEP_RUN_EVENTS = timedelta(days=90)
"""How long the items of agent runs stay for an audit."""


async def purge_run_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_RUN_EVENTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete the items of agent runs that were stored long ago.

    The numbers of a conversation go on from its highest; where all its items were deleted, they
    begin at 0 again, and an item that is sent again is stored again.

    Args:
        db: The database, or its URL.
        older_than: Time since they were stored, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` items.
    """
    plan = Plan(**options)
    return await run_sweeps(db, [RunEvents(plan.tenant_id, older_than)], plan)


async def purge_summaries(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete summaries that have expired; those without an expiry stay.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` summaries.
    """
    plan = Plan(**options)
    return await run_sweeps(db, [ExpiredSummaries(plan.tenant_id, older_than)], plan)


async def reconcile(
    db: Database | str | URL,
    *,
    repair: bool = False,
    **options: Unpack[PlanOptions],
) -> Report:
    """Report what contradicts itself, and repair it on request.

    Found are conversations whose ``message_count`` is not above the highest position of their
    messages: the next append would fail. The verbs never leave one; imports and restored rows may.

    Args:
        db: The database, or its URL.
        repair: Put it right, under the locks that the verbs take.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of conversations with a wrong ``message_count``.
    """
    plan = Plan(**options)
    if not repair:
        plan = replace(plan, dry_run=True)
    return await run_sweeps(db, [MessageCounts(plan.tenant_id)], plan)


class RunEvents(Aged):
    """Items of agent runs, in the order in which they were stored."""

    name = "purge_run_events"
    model: ClassVar[type[Base]] = AgentRunEvent
    stamp: ClassVar[str] = "ingested_at"


class ExpiredSummaries(Aged):
    """Summaries, in the order of their expiry."""

    name = "purge_summaries"
    model: ClassVar[type[Base]] = ConversationSummary
    stamp: ClassVar[str] = "expires_at"


def _next_position() -> ColumnElement[Any]:
    mine = messages.c.conversation_id == conversations.c.id
    last = select(messages.c.position).where(mine).order_by(messages.c.position.desc()).limit(1)
    found: ColumnElement[Any] = last.correlate(conversations).scalar_subquery() + 1
    return found


_WRONG = conversations.c.message_count < _next_position()


class MessageCounts(Sweep[UUID]):
    """Conversations, in the order of their ids; a batch looks at so many, right ones included."""

    name = "reconcile"
    outcomes: ClassVar[tuple[str, ...]] = ("message_count",)

    def __init__(self, tenant: UUID | None) -> None:
        self._tenant = tenant

    def _window(self, limit: int | None, after: UUID | None = None) -> Select[Any]:
        key = conversations.c.id
        query = select(key).where(*own(AgentConversation, self._tenant)).order_by(key).limit(limit)
        return query if after is None else query.where(key > after)

    @override
    async def change(self, uow: UnitOfWork, after: UUID | None, limit: int) -> Batch[UUID]:
        window = self._window(limit, after).subquery()
        look = select(window.c.id, _WRONG.label("is_wrong")).select_from(
            window.join(conversations, conversations.c.id == window.c.id)
        )
        found = (await uow.execute(look.order_by(window.c.id))).all()
        repaired = 0
        for row in found:
            repaired += await self._repair(uow, row.id) if row.is_wrong else 0
        return Batch({"message_count": repaired}, found[-1].id if len(found) == limit else None)

    async def _repair(self, uow: UnitOfWork, conversation: UUID) -> int:
        """Repair one, if it is free; the lock is taken before what is written is read."""
        lock = select(conversations.c.id).where(conversations.c.id == conversation)
        lock = lock.with_for_update(key_share=True, skip_locked=True)
        if (await uow.execute(lock)).first() is None:
            return 0
        right = update(conversations).where(conversations.c.id == conversation, _WRONG)
        right = right.values(message_count=_next_position()).returning(conversations.c.id)
        return len((await uow.execute(right)).all())

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        window = self._window(limit).subquery()
        query = select(
            func.count().label("rows"), func.count().filter(_WRONG).label("wrong")
        ).select_from(window.join(conversations, conversations.c.id == window.c.id))
        found = (await uow.execute(query)).one()
        return Counted(found.rows, {"message_count": found.wrong})
