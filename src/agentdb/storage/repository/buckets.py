"""Buckets of tenants."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.storage.models import StorageBucket


class StorageBucketRepository(Repository[StorageBucket, UUID]):
    """Buckets of tenants."""

    model = StorageBucket

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageBucket]:
        """Return a page of the tenant's buckets, newest first."""
        return await self._newest(
            StorageBucket.tenant_id == tenant_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
