"""Conversations with agents: messages, summaries, run events, usage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import or_
from typing_extensions import Unpack

from agentdb.batch import encode_batch
from agentdb.conversations.messages import message_columns, message_rows
from agentdb.conversations.models import (
    AgentConversation,
    AgentMessage,
    AgentRunEvent,
    AgentRunUsage,
    ConversationSummary,
)
from agentdb.conversations.refs import key_of, lock_by_ref, require_by_ref, stored_key
from agentdb.conversations.rows import (
    ConversationFields,
    ConversationRef,
    MessageRow,
    NewMessage,
    NewRunEvent,
)
from agentdb.conversations.run_events import is_retry, run_event
from agentdb.conversations.statements import (
    TOUCH_EVERY,
    append_messages,
    append_messages_embedded,
    append_state,
    count_messages_embedded,
    transcript,
)
from agentdb.errors import ConflictError, InvalidValueError
from agentdb.ledger.segments import open_segment
from agentdb.paging import Page, check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository import AppendOnlyRepository, Repository, VerbWrittenRepository
from agentdb.tenancy.predicates import table_of


class AgentConversationRepository(Repository[AgentConversation, UUID]):
    """Conversations; pages begin with those written last."""

    model = AgentConversation
    newest = "updated_at"

    async def get_or_create(
        self,
        key: str,
        agent_entrypoint: str,
        *,
        user_id: UUID | None = None,
        tenant_id: UUID | None = None,
        **fields: Unpack[ConversationFields],
    ) -> tuple[AgentConversation, bool]:
        """Return the conversation with the host's *key*, made if there is none.

        Race-safe: of N concurrent first calls all succeed, and one makes the row. A present
        conversation is returned as it is.

        Args:
            key: The host's key, 1 to 218 characters; unique within the tenant.
            agent_entrypoint: The agent that opens it.
            user_id: Its owner, a member of the tenant.
            tenant_id: The tenant, in a system unit.
            fields: Further columns of a new row.

        Returns:
            The conversation, and whether it is new.

        Raises:
            InvalidValueError: The key or a column is refused.
            NotFoundError: The user is no member of the tenant.
            DuplicateError: The provider's id belongs to another conversation.
        """
        tenant = self.unit.scope.owner(tenant_id)
        values: dict[str, Any] = {
            "tenant_id": tenant,
            "conversation_key": stored_key(tenant, key),
            "agent_entrypoint": agent_entrypoint,
            "user_id": user_id,
            **fields,
        }
        return await self.upsert(values, ["conversation_key"], update=())

    async def by_ref(
        self, ref: ConversationRef, *, lock: bool = False, tenant_id: UUID | None = None
    ) -> AgentConversation | None:
        """Return a conversation by its id or the host's key, None if there is none.

        Args:
            ref: A UUID is an id, text a key.
            lock: Lock it until the unit ends, as appends do.
            tenant_id: The tenant, in a system unit; keys need one.
        """
        tenant = self.unit.scope.filter(tenant_id)
        same = (
            AgentConversation.id == ref
            if isinstance(ref, UUID)
            else AgentConversation.conversation_key == key_of(tenant, ref)
        )
        query = self._select(same)
        if tenant is not None:
            query = query.where(AgentConversation.tenant_id == tenant)
        if lock:
            query = query.with_for_update(key_share=True)
        found: AgentConversation | None = (await self._entities(query)).one_or_none()
        return found

    async def by_provider_conversation_id(
        self, provider_conversation_id: str
    ) -> AgentConversation | None:
        """Return the conversation with the provider's id, None if there is none."""
        return await self._by(AgentConversation.provider_conversation_id, provider_conversation_id)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentConversation]:
        """Return a page of the tenant's conversations, last written first."""
        return await self._newest(
            AgentConversation.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentConversation]:
        """Return a page of the user's conversations, last written first."""
        return await self._newest(AgentConversation.user_id == user_id, after=after, limit=limit)


class AgentMessageRepository(VerbWrittenRepository[AgentMessage, int]):
    """Messages, in the order of their positions."""

    model = AgentMessage
    newest = "position"
    verb = "append"

    async def append(
        self,
        ref: ConversationRef,
        messages: Sequence[NewMessage],
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> list[MessageRow]:
        """Append messages to a conversation, as one contiguous batch.

        N concurrent appends all succeed, with positions 0 … N - 1 and no gap; other conversations
        are not blocked. Stamps follow the order of the appends whatever the clocks say: each is
        later than the stamp of every message and frame appended before it.

        Args:
            ref: The conversation.
            messages: In order; an empty batch does nothing.
            tenant_id: The tenant, in a system unit.
            now: The clock of the append.

        Returns:
            The stored messages, in order.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A column refuses its value; nothing is stored.
        """
        tenant = self.unit.scope.owner(tenant_id)
        batch = self._encode(messages)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        if not messages:
            return []
        parameters = {
            "conversation": conversation,
            "tenant": tenant,
            "size": len(messages),
            **batch,
        }
        append = self._append if self.unit.is_postgresql else self._append_embedded
        # No savepoint: the values are checked and the conversation is locked, nothing can fail.
        rows = await append(parameters, now)
        if not rows:
            await open_segment(self.unit, conversation, tenant)
            rows = await append(parameters, now)
        await self.unit.refresh(AgentConversation, conversation)
        return sorted(rows, key=lambda row: row.position)

    async def transcript(
        self,
        ref: ConversationRef,
        *,
        direction: Literal["asc", "desc"] = "asc",
        visible_only: bool = True,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[MessageRow]:
        """Return a page of a conversation's messages, in the order of their positions.

        Args:
            ref: The conversation.
            direction: Oldest first, or newest first.
            visible_only: Leave out what a truncation hid.
            after: Cursor of the page before; None starts.
            limit: Messages of a page, 1 to 500.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The direction or the limit is none.
        """
        check_limit(limit)
        if direction not in {"asc", "desc"}:
            raise InvalidValueError("a direction is asc or desc")
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        seal = fingerprint((), "transcript", conversation, direction, visible_only)
        position = None if after is None else decode_cursor(seal, after, [int])[0]
        statement = transcript(
            confined=self.unit.tenant is not None,
            visible_only=visible_only,
            descending=direction == "desc",
            started=position is not None,
        )
        parameters = {
            "conversation": conversation,
            "limit": limit + 1,
            **({} if self.unit.tenant is None else {"tenant": self.unit.tenant}),
            **({} if position is None else {"after": position}),
        }
        rows = message_rows(await self.unit.execute(statement, parameters))
        more = len(rows) > limit
        cursor = encode_cursor(seal, [rows[limit - 1].position]) if more else None
        return Page(tuple(rows[:limit]), cursor)

    def _encode(self, messages: Sequence[NewMessage]) -> dict[str, str]:
        rows = [message_columns(message) for message in messages]
        return encode_batch(table_of(AgentMessage), rows, postgresql=self.unit.is_postgresql)

    async def _append(self, parameters: dict[str, Any], now: datetime | None) -> list[MessageRow]:
        moment = {"now": self.unit.frozen(now)}
        return message_rows(await self.unit.execute(append_messages(), {**parameters, **moment}))

    async def _append_embedded(
        self, parameters: dict[str, Any], now: datetime | None
    ) -> list[MessageRow]:
        """Append on SQLite, whose CTEs do not write; the unit holds the write lock."""
        state = (await self.unit.execute(append_state(), parameters)).one()
        if state.segment_id is None:
            return []
        at = self.unit.stamp(now, state.newest_message, state.newest_frame)
        touched = at if at - state.updated_at > TOUCH_EVERY else state.updated_at
        moment = {"at": at, "touched": touched, "first": state.first, "segment": state.segment_id}
        inserted = await self.unit.execute(append_messages_embedded(), {**parameters, **moment})
        stored = message_rows(inserted)
        await self.unit.execute(count_messages_embedded(), {**parameters, **moment})
        return stored

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentMessage]:
        """Return a page of the conversation's messages, last position first."""
        return await self._newest(
            AgentMessage.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_segment(
        self, segment_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentMessage]:
        """Return a page of the segment's messages, last position first."""
        return await self._newest(AgentMessage.segment_id == segment_id, after=after, limit=limit)


class ConversationSummaryRepository(Repository[ConversationSummary, int]):
    """Summaries of conversations, with their history."""

    model = ConversationSummary

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationSummary]:
        """Return a page of the conversation's summaries, newest first."""
        return await self._newest(
            ConversationSummary.conversation_id == conversation_id, after=after, limit=limit
        )


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


class AgentRunUsageRepository(AppendOnlyRepository[AgentRunUsage, int]):
    """The log of what agent runs have consumed."""

    model = AgentRunUsage

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
