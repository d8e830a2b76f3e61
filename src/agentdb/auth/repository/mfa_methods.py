"""Second factors of users."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserMfaMethod,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserMfaMethodRepository(Repository[UserMfaMethod, UUID]):
    """Second factors of users."""

    model = UserMfaMethod

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserMfaMethod]:
        """Return a page of the user's second factors, newest first."""
        return await self._newest(UserMfaMethod.user_id == user_id, after=after, limit=limit)
