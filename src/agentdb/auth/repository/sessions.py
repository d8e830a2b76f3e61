"""Sessions of users, by device; pages begin with those seen last."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserSession,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserSessionRepository(Repository[UserSession, UUID]):
    """Sessions of users, by device; pages begin with those seen last."""

    model = UserSession
    newest = "last_seen_at"

    async def by_refresh_jti(self, refresh_jti: str) -> UserSession | None:
        """Return the session whose refresh token has this id, if any."""
        return await self._by(UserSession.refresh_jti, refresh_jti)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserSession]:
        """Return a page of the user's sessions, last seen first."""
        return await self._newest(UserSession.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserSession]:
        """Return a page of the tenant's sessions, last seen first."""
        return await self._newest(UserSession.tenant_id == tenant_id, after=after, limit=limit)
