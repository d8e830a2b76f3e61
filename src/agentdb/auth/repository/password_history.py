"""Passwords that users have or had, kept to refuse their reuse."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    PasswordHistory,
)
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository


class PasswordHistoryRepository(AppendOnlyRepository[PasswordHistory, UUID]):
    """Passwords that users have or had, kept to refuse their reuse."""

    model = PasswordHistory

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PasswordHistory]:
        """Return a page of the user's entries, newest first."""
        return await self._newest(PasswordHistory.user_id == user_id, after=after, limit=limit)
