"""What agent runs have consumed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from typing_extensions import Unpack

from agentdb.checks import check_fields, check_text
from agentdb.conversations.models import AgentRunUsage
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef, UsageFields, UsageTotals
from agentdb.conversations.usage import add_totals, completed, sum_usage
from agentdb.errors import DuplicateError
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy import Write


class AgentRunUsageRepository(AppendOnlyRepository[AgentRunUsage, int]):
    """The log of what agent runs have consumed."""

    model = AgentRunUsage

    async def record(
        self,
        ref: ConversationRef,
        *,
        response_id: str | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **usage: Unpack[UsageFields],
    ) -> tuple[AgentRunUsage, bool]:
        """Record what a run has consumed, and add it to the totals of the conversation; once.

        Of N concurrent calls with one response id, one records and adds, and all return its row.

        Args:
            ref: The conversation.
            response_id: The provider's id of the response; without one every call records.
            tenant_id: The tenant, in a system unit.
            now: The clock of the record.
            usage: What was consumed.

        Returns:
            The row, and whether it is new.

        Raises:
            NotFoundError: The tenant has no such conversation.
            DuplicateError: The response is recorded for another conversation.
            InvalidValueError: A column refuses its value, or the response id is empty.
        """
        check_fields(usage, UsageFields)
        if response_id is not None:
            check_text(response_id, "a response id")
        tenant = self.unit.scope.owner(tenant_id)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        values = {
            "tenant_id": tenant,
            "conversation_id": conversation,
            "response_id": response_id,
            "created_at": await self.unit.read_clock(now),
            **completed(usage),
        }
        row, created = await self._record(values)
        if created:
            await add_totals(self.unit, values)
        return row, created

    async def _record(self, values: dict[str, Any]) -> tuple[AgentRunUsage, bool]:
        if values["response_id"] is None:
            return await self.add(AgentRunUsage(**values)), True
        target = UniqueKey.find(AgentRunUsage, ["response_id"])
        async with self.unit.savepoint():
            await self.unit.check(Write(AgentRunUsage, values))
            row, created = await self._upsert(values, target, ())
        if row is None or row.conversation_id != values["conversation_id"]:
            message = "the response is recorded for another conversation"
            raise DuplicateError(message, constraint=target.name)
        return row, created

    async def history(
        self,
        ref: ConversationRef,
        *,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[AgentRunUsage]:
        """Return a page of what a conversation has consumed, newest first.

        Args:
            ref: The conversation.
            after: Cursor of the page before; None starts.
            limit: Rows of a page, 1 to 500.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        return await self.for_conversation(conversation, after=after, limit=limit)

    async def totals(
        self,
        start: datetime,
        end: datetime,
        *,
        by: Literal["agent_key", "provider", "day"] | None = None,
        tenant_id: UUID | None = None,
    ) -> list[UsageTotals]:
        """Return the sums of what was recorded from *start* on and before *end*; exact ones.

        Args:
            start: The first instant.
            end: The first instant that does not count any more.
            by: One group for each agent, provider or UTC day, in their order, those without one
                last; None for all runs as one, even if there is none.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            InvalidValueError: There is no such grouping.
            NaiveDatetimeError: An instant has no time zone.
        """
        tenant = self.unit.scope.filter(tenant_id)
        return await sum_usage(self.unit, start, end, by=by, tenant=tenant)

    async def by_response_id(self, response_id: str) -> AgentRunUsage | None:
        """Return what the response with the provider's id consumed, if any."""
        return await self._by(AgentRunUsage.response_id, response_id)

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentRunUsage]:
        """Return a page of the conversation's usage, newest first."""
        return await self._newest(
            AgentRunUsage.conversation_id == conversation_id, after=after, limit=limit
        )
