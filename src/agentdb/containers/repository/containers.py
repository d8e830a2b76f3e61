"""Code containers at the provider."""

from __future__ import annotations

from uuid import UUID

from agentdb.containers.models import Container
from agentdb.paging import Page
from agentdb.repository import Repository


class ContainerRepository(Repository[Container, UUID]):
    """Code containers at the provider."""

    model = Container

    async def by_openai_id(
        self, openai_id: str, *, include_deleted: bool = False
    ) -> Container | None:
        """Return the container with the provider's id, if any."""
        return await self._by(Container.openai_id, openai_id, include_deleted=include_deleted)

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[Container]:
        """Return a page of the tenant's containers, newest first."""
        return await self._newest(
            Container.tenant_id == tenant_id,
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
    ) -> Page[Container]:
        """Return a page of the containers that the user owns, newest first."""
        return await self._newest(
            Container.owner_user_id == owner_user_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
