"""Profiles of users, one row each."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserProfile,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserProfileRepository(Repository[UserProfile, UUID]):
    """Profiles of users, one row each."""

    model = UserProfile

    async def by_user_id(self, user_id: UUID) -> UserProfile | None:
        """Return the user's profile, if any."""
        return await self._by(UserProfile.user_id, user_id)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserProfile]:
        """Return a page with the user's profile alone."""
        return await self._newest(UserProfile.user_id == user_id, after=after, limit=limit)
