"""The log of what happened in tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from typing_extensions import Unpack

from agentdb.activity.actions import check_action
from agentdb.activity.filters import matching
from agentdb.activity.models import ActivityEvent
from agentdb.activity.rows import ActivityFields, ActivityFilters
from agentdb.canonical import cut_user_agent
from agentdb.checks import check_fields
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository


class ActivityEventRepository(AppendOnlyRepository[ActivityEvent, UUID]):
    """The log of what happened in tenants."""

    model = ActivityEvent

    async def record(
        self,
        action: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[ActivityFields],
    ) -> ActivityEvent:
        """Record that something happened in a tenant.

        Args:
            action: What, for example ``conversation.created``; see `ActivityAction`.
            tenant_id: The tenant, in a system unit.
            now: The clock of the event.
            fields: Further columns of the row; a user agent that is too long is cut.

        Raises:
            InvalidValueError: A column refuses its value, or the metadata lacks a key that the host
                has registered for the action, or has one that it does not allow.
        """
        check_fields(fields, ActivityFields)
        tenant = self.unit.scope.owner(tenant_id)
        check_action(action, fields.get("metadata_json"))
        agent = fields.get("user_agent")
        if agent is not None:
            fields["user_agent"] = cut_user_agent(agent)
        at = await self.unit.read_clock(now)
        return await self.add(
            ActivityEvent(tenant_id=tenant, action=action, created_at=at, **fields)
        )

    async def search(
        self,
        *,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
        **filters: Unpack[ActivityFilters],
    ) -> Page[ActivityEvent]:
        """Return a page of events, newest first.

        Args:
            after: Cursor of the page before; None starts.
            limit: Events of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.
            filters: Which of them; a user agent is compared as far as it is kept.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
            NaiveDatetimeError: An instant has no time zone.
        """
        check_fields(filters, ActivityFilters)
        tenant = self.unit.scope.filter(tenant_id)
        where = [] if tenant is None else [ActivityEvent.tenant_id == tenant]
        return await self._newest(*where, *matching(filters), after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEvent]:
        """Return a page of the tenant's events, newest first."""
        return await self._newest(ActivityEvent.tenant_id == tenant_id, after=after, limit=limit)
