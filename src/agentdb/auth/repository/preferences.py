"""Which notices users want, in one tenant or in all."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserNotificationPreference,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserNotificationPreferenceRepository(Repository[UserNotificationPreference, UUID]):
    """Which notices users want, in one tenant or in all."""

    model = UserNotificationPreference

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the user's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.user_id == user_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the tenant's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.tenant_id == tenant_id, after=after, limit=limit
        )
