"""Who belongs to which tenant, and as what."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    TenantUserMembership,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class TenantUserMembershipRepository(Repository[TenantUserMembership, UUID]):
    """Who belongs to which tenant, and as what."""

    model = TenantUserMembership

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the user's memberships, newest first."""
        return await self._newest(TenantUserMembership.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the tenant's memberships, newest first."""
        return await self._newest(
            TenantUserMembership.tenant_id == tenant_id, after=after, limit=limit
        )
