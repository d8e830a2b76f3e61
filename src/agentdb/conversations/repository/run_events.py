"""Items of agent runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_

from agentdb.checks import check_values
from agentdb.conversations.models import AgentRunEvent
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef, NewRunEvent
from agentdb.conversations.run_events import checked_events, is_retry, run_event
from agentdb.errors import ConflictError
from agentdb.paging import Page
from agentdb.repository import Repository


class AgentRunEventRepository(Repository[AgentRunEvent, int]):
    """Items of agent runs, in the order of their numbers."""

    model = AgentRunEvent
    newest = "sequence_no"

    async def append(
        self,
        ref: ConversationRef,
        events: Sequence[NewRunEvent],
        *,
        workflow_run_id: str | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> tuple[list[AgentRunEvent], int]:
        """Append the items of a run to a conversation, numbered from 0 without gaps.

        N concurrent appends all succeed: they hold the lock of the conversation. A retry is
        skipped: an item whose response is stored with equal type, name and tool call and, without
        a tool call, equal text; or an identical one under its explicit number.

        Args:
            ref: The conversation.
            events: In order.
            workflow_run_id: The run of a workflow that they belong to.
            tenant_id: The tenant, in a system unit.
            now: The clock of the append.

        Returns:
            The stored items, and how many were skipped.

        Raises:
            NotFoundError: The tenant has no such conversation or run.
            ConflictError: An explicit number is taken by another item, or would leave a gap.
            InvalidValueError: A column refuses its value; nothing is stored.
        """
        tenant = self.unit.scope.owner(tenant_id)
        events = checked_events(events)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        known = await self._known(conversation, events)
        next_number = await self._next_number(conversation)
        at = await self.unit.read_clock(now)
        rows: list[AgentRunEvent] = []
        for event in events:
            number = next_number + len(rows) if event.sequence_no is None else event.sequence_no
            row = run_event(event, conversation, number, workflow_run_id, at)
            if is_retry(row, event, known):
                continue
            if number != next_number + len(rows):
                raise ConflictError(f"number {number} is taken or would leave a gap")
            rows.append(row)
        await self.add_many(rows)
        return rows, len(events) - len(rows)

    async def history(
        self,
        ref: ConversationRef,
        *,
        workflow_run_id: str | None = None,
        run_item_types: Collection[str] | None = None,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[AgentRunEvent]:
        """Return a page of the items of a conversation's runs, first number first.

        A truncation of the conversation hides none of them.

        Args:
            ref: The conversation.
            workflow_run_id: Of this run of a workflow.
            run_item_types: Of these types; None for all.
            after: Cursor of the page before; None starts.
            limit: Items of a page, 1 to 500.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        kinds = None if run_item_types is None else check_values(run_item_types, "types")
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        where = [AgentRunEvent.conversation_id == conversation]
        if workflow_run_id is not None:
            where.append(AgentRunEvent.workflow_run_id == workflow_run_id)
        if kinds is not None:
            where.append(AgentRunEvent.run_item_type.in_(kinds))
        order = [AgentRunEvent.sequence_no]
        return await self.page(*where, order=order, after=after, limit=limit)

    async def _known(
        self, conversation: UUID, events: Sequence[NewRunEvent]
    ) -> Sequence[AgentRunEvent]:
        """Read the stored items that these may repeat."""
        responses = {e.response_id for e in events if e.response_id is not None}
        numbers = {e.sequence_no for e in events if e.sequence_no is not None}
        same = or_(AgentRunEvent.response_id.in_(responses), AgentRunEvent.sequence_no.in_(numbers))
        return await self.all(AgentRunEvent.conversation_id == conversation, same)

    async def _next_number(self, conversation: UUID) -> int:
        last = await self.all(
            AgentRunEvent.conversation_id == conversation,
            order=[AgentRunEvent.sequence_no.desc()],
            limit=1,
        )
        return last[0].sequence_no + 1 if last else 0

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentRunEvent]:
        """Return a page of the conversation's run events, last number first."""
        return await self._newest(
            AgentRunEvent.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_workflow_run(
        self, workflow_run_id: str, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentRunEvent]:
        """Return a page of the workflow run's run events, last number first."""
        return await self._newest(
            AgentRunEvent.workflow_run_id == workflow_run_id, after=after, limit=limit
        )
