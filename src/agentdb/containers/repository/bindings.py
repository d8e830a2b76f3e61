"""Which container an agent of a tenant uses."""

from __future__ import annotations

from uuid import UUID

from agentdb.containers.models import AgentContainer
from agentdb.paging import Page
from agentdb.repository import Repository


class AgentContainerRepository(Repository[AgentContainer, tuple[str, UUID, UUID]]):
    """Which container an agent of a tenant uses."""

    model = AgentContainer

    async def for_container(
        self, container_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentContainer]:
        """Return a page of the bindings to the container, by key."""
        return await self.page(
            AgentContainer.container_id == container_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[AgentContainer]:
        """Return a page of the tenant's bindings, by key."""
        return await self.page(AgentContainer.tenant_id == tenant_id, after=after, limit=limit)
