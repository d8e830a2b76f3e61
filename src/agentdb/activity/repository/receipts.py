"""Who has read or dismissed which event."""

from __future__ import annotations

from uuid import UUID

from agentdb.activity.models import ActivityEventReceipt
from agentdb.paging import Page
from agentdb.repository import Repository


class ActivityEventReceiptRepository(Repository[ActivityEventReceipt, UUID]):
    """Who has read or dismissed which event."""

    model = ActivityEventReceipt

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the tenant's receipts, newest first."""
        return await self._newest(
            ActivityEventReceipt.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the user's receipts, newest first."""
        return await self._newest(ActivityEventReceipt.user_id == user_id, after=after, limit=limit)

    async def for_event(
        self, event_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the event's receipts, newest first."""
        return await self._newest(
            ActivityEventReceipt.event_id == event_id, after=after, limit=limit
        )
