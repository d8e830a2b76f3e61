"""Summaries of conversations."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_
from typing_extensions import Unpack

from agentdb.checks import check_duration, check_fields
from agentdb.conversations.models import ConversationSummary
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef, SummaryFields, SummaryOf
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.types import Text


class ConversationSummaryRepository(Repository[ConversationSummary, int]):
    """Summaries of conversations, with their history."""

    model = ConversationSummary

    async def save(
        self,
        ref: ConversationRef,
        summary_text: str,
        *,
        agent_key: str | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[SummaryFields],
    ) -> ConversationSummary | None:
        """Store a summary; those before it stay, as history.

        The conversation is locked: a truncation, which deletes summaries, is wholly before or
        wholly after.

        Args:
            ref: The conversation.
            summary_text: The summary; blank text is not stored.
            agent_key: The agent that it is for; None for all.
            tenant_id: The tenant, in a system unit.
            now: The clock of the summary.
            fields: Further columns of the row.

        Returns:
            The row; None where the text is blank.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, SummaryFields)
        tenant = self.unit.scope.owner(tenant_id)
        blank = not Text().check(summary_text).strip()
        conversation = await lock_by_ref(self.unit, ref, tenant)
        if blank:
            return None
        summary = ConversationSummary(
            tenant_id=tenant,
            conversation_id=conversation,
            agent_key=agent_key,
            summary_text=summary_text,
            created_at=await self.unit.read_clock(now),
            **fields,
        )
        return await self.add(summary)

    async def latest(
        self,
        ref: ConversationRef,
        *,
        max_age: timedelta | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **which: Unpack[SummaryOf],
    ) -> ConversationSummary | None:
        """Return the newest summary that has not expired, None if there is none.

        Args:
            ref: The conversation.
            max_age: How old it may be.
            tenant_id: The tenant, in a system unit.
            now: The clock that it expires by.
            which: ``agent_key`` of the agent that it is for, None for one that is for all; not
                given, of any.

        Raises:
            NotFoundError: There is no such conversation.
        """
        check_fields(which, SummaryOf)
        if max_age is not None:
            check_duration(max_age, "an age")
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        at = await self.unit.read_clock(now)
        expires = ConversationSummary.expires_at
        where = [
            ConversationSummary.conversation_id == conversation,
            or_(expires.is_(None), expires > at),
        ]
        where += [] if max_age is None else [ConversationSummary.created_at >= at - max_age]
        if "agent_key" in which:
            # Of None SQLAlchemy makes IS NULL.
            where.append(ConversationSummary.agent_key == which["agent_key"])
        order = [ConversationSummary.created_at.desc()]
        found = await self.all(*where, order=order, limit=1)
        return found[0] if found else None

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationSummary]:
        """Return a page of the conversation's summaries, newest first."""
        return await self._newest(
            ConversationSummary.conversation_id == conversation_id, after=after, limit=limit
        )
