"""The log of what happened in tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from typing_extensions import Unpack

from agentdb.activity.actions import check_action
from agentdb.activity.models import ActivityEvent
from agentdb.activity.rows import ActivityFields
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository

USER_AGENT_CHARACTERS = 512
"""What is kept of a user agent."""


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
        tenant = self.unit.scope.owner(tenant_id)
        check_action(action, fields.get("metadata_json"))
        agent = fields.get("user_agent")
        if agent is not None:
            fields["user_agent"] = agent[:USER_AGENT_CHARACTERS]
        at = await self.unit.read_clock(now)
        return await self.add(
            ActivityEvent(tenant_id=tenant, action=action, created_at=at, **fields)
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEvent]:
        """Return a page of the tenant's events, newest first."""
        return await self._newest(ActivityEvent.tenant_id == tenant_id, after=after, limit=limit)
