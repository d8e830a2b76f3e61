"""The log of what touched the security of users and tenants."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    SecurityEvent,
)
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository


class SecurityEventRepository(AppendOnlyRepository[SecurityEvent, UUID]):
    """The log of what touched the security of users and tenants."""

    model = SecurityEvent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the user's security events, newest first."""
        return await self._newest(SecurityEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the tenant's security events, newest first."""
        return await self._newest(SecurityEvent.tenant_id == tenant_id, after=after, limit=limit)
