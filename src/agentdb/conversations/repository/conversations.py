"""Conversations: what is known of each, lists of them, and a search in their messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement
from typing_extensions import Unpack

from agentdb.checks import check_fields
from agentdb.conversations.models import AgentConversation
from agentdb.conversations.previews import previews
from agentdb.conversations.refs import key_of, lock_by_ref, stored_key
from agentdb.conversations.rows import (
    ConversationFields,
    ConversationPreview,
    ConversationRef,
    Hit,
    MemoryFields,
    RunMetadata,
    SessionState,
)
from agentdb.conversations.search import Search
from agentdb.conversations.texts import check_title
from agentdb.conversations.totals import additions
from agentdb.conversations.values import ConversationStatus
from agentdb.paging import Page, check_limit
from agentdb.repository import Repository
from agentdb.repository.entities import entity_of, flush_pending


class AgentConversationRepository(Repository[AgentConversation, UUID]):
    """Conversations; pages begin with those written last.

    What changes a conversation locks it first: concurrent verbs follow each other, and each decides
    on what the one before has committed. All of them move ``updated_at``, appends at most every few
    seconds.
    """

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
        check_fields(fields, ConversationFields)
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

    async def archive(
        self, ref: ConversationRef, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> AgentConversation:
        """Take a conversation out of the current ones; an archived one stays as it is.

        Args:
            ref: The conversation.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The tenant has no such conversation.
        """
        return await self._set_status(ref, ConversationStatus.ARCHIVED, tenant_id, now)

    async def unarchive(
        self, ref: ConversationRef, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> AgentConversation:
        """Make a conversation a current one again; arguments and errors as of `archive`."""
        return await self._set_status(ref, ConversationStatus.ACTIVE, tenant_id, now)

    async def set_memory(
        self,
        ref: ConversationRef,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **memory: Unpack[MemoryFields],
    ) -> AgentConversation:
        """Set how an agent remembers a conversation, by the columns in *memory*.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A column refuses its value.
        """
        check_fields(memory, MemoryFields)
        return await self._change(ref, tenant_id, now, memory)

    async def apply_run_metadata(
        self,
        ref: ConversationRef,
        *,
        handoffs: int = 0,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **metadata: Unpack[RunMetadata],
    ) -> AgentConversation:
        """Note what a run tells of its conversation, by the columns in *metadata*.

        *handoffs*, how often it went from one agent to another, is added to those before.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A column refuses its value, or the handoffs are below 0.
            DuplicateError: The provider's id belongs to another conversation.
        """
        check_fields(metadata, RunMetadata)
        added = additions({"handoff_count": handoffs}, postgresql=self.unit.is_postgresql)
        return await self._change(ref, tenant_id, now, {**metadata, **added})

    async def add_usage(
        self,
        ref: ConversationRef,
        *,
        prompt: int = 0,
        completion: int = 0,
        reasoning: int = 0,
        cached: int = 0,
        requests: int = 0,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> AgentConversation:
        """Add to the totals of a conversation: N concurrent calls are all counted.

        A total stays at 2,147,483,647 once it is there. `AgentRunUsageRepository.record` adds what
        it records by itself.

        Args:
            ref: The conversation.
            prompt: Tokens of input.
            completion: Tokens of output.
            reasoning: Tokens of output that were reasoning.
            cached: Tokens of input that came from the provider's cache.
            requests: Requests to the provider.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A number is below 0.
        """
        amounts = {
            "total_tokens_prompt": prompt,
            "total_tokens_completion": completion,
            "reasoning_tokens": reasoning,
            "total_cached_input_tokens": cached,
            "total_requests": requests,
        }
        added = additions(amounts, postgresql=self.unit.is_postgresql)
        return await self._change(ref, tenant_id, now, added)

    async def set_title(
        self,
        ref: ConversationRef,
        display_name: str,
        *,
        generated: bool = False,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Give a conversation a title; one that a model made never replaces another.

        Args:
            ref: The conversation.
            display_name: 1 to 128 characters once white space is trimmed and collapsed.
            generated: A model made it: set only where there is none, and stamped.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Returns:
            False if nothing changed.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: The title is empty or too long.
        """
        title = check_title(display_name)
        tenant = self.unit.scope.owner(tenant_id)
        row = await self.require(await lock_by_ref(self.unit, ref, tenant))
        if generated and row.display_name is not None:
            return False
        if not generated and row.display_name == title and row.title_generated_at is None:
            return False
        at = await self.unit.read_clock(now)
        stamp = at if generated else None
        await self.update(row.id, display_name=title, title_generated_at=stamp, updated_at=at)
        return True

    async def set_session_state(
        self,
        ref: ConversationRef,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **state: Unpack[SessionState],
    ) -> AgentConversation:
        """Note where the session of the provider or its SDK stands, by the columns in *state*.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A column refuses its value.
            DuplicateError: The provider's id belongs to another conversation.
        """
        check_fields(state, SessionState)
        return await self._change(ref, tenant_id, now, state)

    async def overview(
        self,
        *,
        status: str | None = None,
        agent_entrypoint: str | None = None,
        user_id: UUID | None = None,
        updated_since: datetime | None = None,
        with_preview: bool = True,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[ConversationPreview]:
        """Return a page of conversations, last written first; the number of statements is constant.

        Args:
            status: In this state.
            agent_entrypoint: Opened by this agent.
            user_id: Of this user.
            updated_since: Written at this instant or later.
            with_preview: Show the beginning of the last visible text of each.
            after: Cursor of the page before; None starts.
            limit: Conversations of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
            NaiveDatetimeError: The instant has no time zone.
        """
        tenant = self.unit.scope.filter(tenant_id)
        where = _equal(tenant_id=tenant, status=status, user_id=user_id)
        where += _equal(agent_entrypoint=agent_entrypoint)
        where += [] if updated_since is None else [AgentConversation.updated_at >= updated_since]
        page = await self._newest(*where, after=after, limit=limit)
        shown = await previews(self.unit, [row.id for row in page]) if with_preview else {}
        items = [ConversationPreview(row, shown.get(row.id)) for row in page]
        return Page(tuple(items), page.next_cursor)

    async def search(
        self,
        query: str,
        *,
        agent_entrypoint: str | None = None,
        user_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[Hit]:
        """Return a page of the conversations with a visible message that has all words of a query.

        Case does not matter, beyond ASCII too (on PostgreSQL, in a database with a UTF-8 locale).
        The text of messages is searched, its first 100,000 characters, and nothing else of their
        content. No character is special. A query without a searchable word finds nothing.

        PostgreSQL stems the words as English ones and leaves out those that are in every text. It
        returns the best hits first, then those written last; its pages lead through the best 1,000.
        On SQLite each word of the query is the beginning of a word of the message, and the
        conversations written last come first. There is no index for it: the search reads the
        messages of the tenant's conversations, about 100,000 in a second, until it has a page.

        Args:
            query: Words, at most 500 characters.
            agent_entrypoint: Of conversations that this agent opened.
            user_id: Of this user's conversations.
            after: Cursor of the page before; None starts.
            limit: Hits of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The query is too long or cannot be stored, or the limit is none.
        """
        check_limit(limit)
        tenant = self.unit.scope.filter(tenant_id)
        search = Search(query, tenant, agent_entrypoint, user_id)
        search.check()
        await flush_pending(self.unit)
        hits, cursor = await search.page(self.unit, after, limit)
        rows = [entity_of(self.unit, AgentConversation, hit.row) for hit in hits]
        pairs = zip(rows, hits, strict=True)
        return Page(tuple(Hit(row, hit.message_id, hit.score) for row, hit in pairs), cursor)

    async def _set_status(
        self, ref: ConversationRef, status: str, tenant_id: UUID | None, now: datetime | None
    ) -> AgentConversation:
        tenant = self.unit.scope.owner(tenant_id)
        row = await self.require(await lock_by_ref(self.unit, ref, tenant))
        if row.status == status:
            return row
        return await self.update(row.id, status=status, updated_at=self.unit.now(now))

    async def _change(
        self,
        ref: ConversationRef,
        tenant_id: UUID | None,
        now: datetime | None,
        values: Mapping[str, Any],
    ) -> AgentConversation:
        """Set columns of a conversation, which is locked first; without any, leave it alone."""
        tenant = self.unit.scope.owner(tenant_id)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        if not values:
            return await self.require(conversation)
        return await self.update(conversation, updated_at=self.unit.now(now), **values)

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


def _equal(**values: object) -> list[ColumnElement[bool]]:
    given = {name: value for name, value in values.items() if value is not None}
    return [getattr(AgentConversation, name) == value for name, value in given.items()]
