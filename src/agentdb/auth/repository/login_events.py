"""The log of attempts to log in."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    UserLoginEvent,
)
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository


class UserLoginEventRepository(AppendOnlyRepository[UserLoginEvent, UUID]):
    """The log of attempts to log in."""

    model = UserLoginEvent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the user's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the tenant's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.tenant_id == tenant_id, after=after, limit=limit)
