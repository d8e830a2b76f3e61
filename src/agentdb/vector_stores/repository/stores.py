"""Vector stores at the provider."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.vector_stores.models import VectorStore


class VectorStoreRepository(Repository[VectorStore, UUID]):
    """Vector stores at the provider."""

    model = VectorStore

    async def by_openai_id(
        self, openai_id: str, *, include_deleted: bool = False
    ) -> VectorStore | None:
        """Return the store with the provider's id, if any."""
        return await self._by(VectorStore.openai_id, openai_id, include_deleted=include_deleted)

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[VectorStore]:
        """Return a page of the tenant's stores, newest first."""
        return await self._newest(
            VectorStore.tenant_id == tenant_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )

    async def for_owner_user(
        self,
        owner_user_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[VectorStore]:
        """Return a page of the stores that the user owns, newest first."""
        return await self._newest(
            VectorStore.owner_user_id == owner_user_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
