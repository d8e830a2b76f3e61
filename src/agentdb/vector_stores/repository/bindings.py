"""Which vector store an agent of a tenant uses."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import BindingRepository
from agentdb.vector_stores.models import AgentVectorStore, VectorStore
from agentdb.vector_stores.repository.stores import VectorStoreRepository


class AgentVectorStoreRepository(
    BindingRepository[AgentVectorStore, tuple[str, UUID, UUID], VectorStore]
):
    """Which vector store an agent of a tenant uses."""

    model = AgentVectorStore
    things = VectorStoreRepository
    reference = "vector_store_id"

    async def bind(
        self, agent_key: str, vector_store_id: UUID, *, tenant_id: UUID | None = None
    ) -> AgentVectorStore:
        """Let an agent use a store, instead of the one before.

        Race-safe: of N concurrent calls all succeed, and one binding is left. A store that is
        deleted at the same time is either refused, or takes the binding with it.

        Args:
            agent_key: The agent, up to 64 characters.
            vector_store_id: A live store of the tenant.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: The tenant has no such store, or it is deleted.
            InvalidValueError: The key is refused.
        """
        return await self._bind(agent_key, vector_store_id, tenant_id)

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
