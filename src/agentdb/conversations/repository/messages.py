"""Messages: appending them, and reading them in the order of their positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from agentdb.checks import check_values
from agentdb.conversations.appends import append_batch, append_rows
from agentdb.conversations.last_messages import last_messages
from agentdb.conversations.messages import check_messages, message_rows, stored_messages
from agentdb.conversations.models import AgentConversation, AgentMessage
from agentdb.conversations.refs import find_and_send, lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef, MessageRow, NewMessage
from agentdb.conversations.statements import transcript
from agentdb.errors import InvalidValueError
from agentdb.ledger.segments import open_segment
from agentdb.paging import Page, check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository import VerbWrittenRepository


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
        messages = check_values(messages, "messages")
        columns = check_messages(messages)
        if not messages:
            await lock_by_ref(self.unit, ref, tenant)
            return []
        append = append_batch if self.unit.is_postgresql else append_rows
        conversation, made = await append(self.unit, ref, tenant, columns, now)
        if not made:
            await open_segment(self.unit, conversation, tenant)
            conversation, made = await append(self.unit, conversation, tenant, columns, now)
        await self.unit.refresh(AgentConversation, conversation)
        return stored_messages(conversation, messages, columns, made)

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
        if direction not in ("asc", "desc"):
            raise InvalidValueError("a direction is asc or desc")
        conversation = (
            ref if isinstance(ref, UUID) else await require_by_ref(self.unit, ref, tenant_id)
        )
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
        found = await find_and_send(self.unit, conversation, tenant_id, statement, parameters)
        rows = message_rows(found)
        more = len(rows) > limit
        cursor = encode_cursor(seal, [rows[limit - 1].position]) if more else None
        return Page(tuple(rows[:limit]), cursor)

    async def last(
        self, ref: ConversationRef, n: int, *, tenant_id: UUID | None = None
    ) -> list[MessageRow]:
        """Return the last visible messages of a conversation, in the order of their positions.

        Args:
            ref: The conversation.
            n: How many at the most, 1 to 500.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            InvalidValueError: *n* is out of range.
        """
        page = await self.transcript(ref, direction="desc", limit=n, tenant_id=tenant_id)
        return list(reversed(page.items))

    async def last_of_many(
        self, conversation_ids: Iterable[UUID], n: int, *, tenant_id: UUID | None = None
    ) -> dict[UUID, list[MessageRow]]:
        """Return the last visible messages of several conversations, in one statement for 5,000.

        Args:
            conversation_ids: The conversations; those that do not exist are left out, as those
                without a visible message are.
            n: How many of each at the most, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.

        Returns:
            Messages by conversation, in the order of their positions.

        Raises:
            InvalidValueError: *n* is out of range.
        """
        check_limit(n)
        tenant = self.unit.scope.filter(tenant_id)
        return await last_messages(self.unit, conversation_ids, n, tenant)

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
