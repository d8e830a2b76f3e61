"""Lists of conversations, and a search in their messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement

from agentdb.conversations.models import AgentConversation
from agentdb.conversations.previews import previews
from agentdb.conversations.rows import ConversationPreview, Hit
from agentdb.conversations.search import Search
from agentdb.paging import Page, check_limit
from agentdb.repository import Repository


class ConversationLists(Repository[AgentConversation, UUID]):
    """Pages of conversations; they begin with those written last."""

    model = AgentConversation
    newest = "updated_at"

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
        hits, cursor = await search.page(self.unit, after, limit)
        rows = await self.get_many([hit.id for hit in hits])
        # One that was deleted since the hits were found is left out.
        found = [Hit(rows[hit.id], hit.message_id, hit.score) for hit in hits if hit.id in rows]
        return Page(tuple(found), cursor)

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
