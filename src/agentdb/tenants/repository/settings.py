"""Settings of tenants, one row each."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenants.models import TenantSettings


class TenantSettingsRepository(Repository[TenantSettings, UUID]):
    """Settings of tenants, one row each."""

    model = TenantSettings

    async def by_tenant_id(self, tenant_id: UUID) -> TenantSettings | None:
        """Return the tenant's settings, if any."""
        return await self._by(TenantSettings.tenant_id, tenant_id)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSettings]:
        """Return a page with the tenant's settings alone."""
        return await self._newest(TenantSettings.tenant_id == tenant_id, after=after, limit=limit)
