"""What happened in a tenant, and who has read it."""

from __future__ import annotations

from uuid import UUID

from agentdb.activity.models import ActivityEvent, ActivityEventReceipt, ActivityLastSeen
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository, Repository


class ActivityEventRepository(AppendOnlyRepository[ActivityEvent, UUID]):
    """The log of what happened in tenants."""

    model = ActivityEvent

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEvent]:
        """Return a page of the tenant's events, newest first."""
        return await self._newest(ActivityEvent.tenant_id == tenant_id, after=after, limit=limit)


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


class ActivityLastSeenRepository(Repository[ActivityLastSeen, UUID]):
    """How far users have read the activity of a tenant."""

    model = ActivityLastSeen
    newest = "last_seen_created_at"

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityLastSeen]:
        """Return a page of the tenant's checkpoints, newest first."""
        return await self._newest(ActivityLastSeen.tenant_id == tenant_id, after=after, limit=limit)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityLastSeen]:
        """Return a page of the user's checkpoints, newest first."""
        return await self._newest(ActivityLastSeen.user_id == user_id, after=after, limit=limit)
