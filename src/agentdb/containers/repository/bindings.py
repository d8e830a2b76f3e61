"""Which container an agent of a tenant uses."""

from __future__ import annotations

from uuid import UUID

from agentdb.containers.models import AgentContainer, Container
from agentdb.containers.repository.containers import ContainerRepository
from agentdb.paging import Page
from agentdb.repository import BindingRepository


class AgentContainerRepository(
    BindingRepository[AgentContainer, tuple[str, UUID, UUID], Container]
):
    """Which container an agent of a tenant uses."""

    model = AgentContainer
    things = ContainerRepository
    reference = "container_id"

    async def bind(
        self, agent_key: str, container_id: UUID, *, tenant_id: UUID | None = None
    ) -> AgentContainer:
        """Let an agent use a container, instead of the one before.

        Race-safe: of N concurrent calls all succeed, and one binding is left. A container that is
        deleted at the same time is either refused, or takes the binding with it.

        Args:
            agent_key: The agent, up to 64 characters.
            container_id: A live container of the tenant.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: The tenant has no such container, or it is deleted.
            InvalidValueError: The key is refused.
        """
        return await self._bind(agent_key, container_id, tenant_id)

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
