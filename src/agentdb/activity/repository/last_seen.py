"""How far users have read the activity of a tenant."""

from __future__ import annotations

from uuid import UUID

from agentdb.activity.models import ActivityLastSeen
from agentdb.paging import Page
from agentdb.repository import Repository


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
