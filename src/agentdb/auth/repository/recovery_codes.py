"""Recovery codes of users, unused and used."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserRecoveryCode,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserRecoveryCodeRepository(Repository[UserRecoveryCode, UUID]):
    """Recovery codes of users, unused and used."""

    model = UserRecoveryCode

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserRecoveryCode]:
        """Return a page of the user's recovery codes, newest first."""
        return await self._newest(UserRecoveryCode.user_id == user_id, after=after, limit=limit)
