"""Agreements of users to versions of policies."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserConsent,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class UserConsentRepository(Repository[UserConsent, UUID]):
    """Agreements of users to versions of policies."""

    model = UserConsent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserConsent]:
        """Return a page of the user's consents, newest first."""
        return await self._newest(UserConsent.user_id == user_id, after=after, limit=limit)
