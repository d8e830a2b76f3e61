"""Which vector store an agent of a tenant uses."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.vector_stores.models import AgentVectorStore


class AgentVectorStoreRepository(Repository[AgentVectorStore, tuple[str, UUID, UUID]]):
    """Which vector store an agent of a tenant uses."""

    model = AgentVectorStore

    async def for_vector_store(
        self, vector_store_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentVectorStore]:
        """Return a page of the bindings to the store, by key."""
        return await self.page(
            AgentVectorStore.vector_store_id == vector_store_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentVectorStore]:
        """Return a page of the tenant's bindings, by key."""
        return await self.page(AgentVectorStore.tenant_id == tenant_id, after=after, limit=limit)
