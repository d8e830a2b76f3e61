"""Code containers at the provider."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, literal, or_
from typing_extensions import Unpack

from agentdb.canonical import check_name
from agentdb.checks import check_fields
from agentdb.containers.models import AgentContainer, Container
from agentdb.containers.rows import ContainerFields
from agentdb.containers.values import ContainerStatus
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.quotas import check_quota
from agentdb.tenants.repository import TenantAccountRepository
from agentdb.types import UTCDateTime

MAX_LIVE = 10
"""Containers that a tenant has at a time, unless the host says otherwise."""


class ContainerRepository(Repository[Container, UUID]):
    """Code containers at the provider."""

    model = Container

    async def create(
        self,
        openai_id: str,
        name: str,
        *,
        max_live: int | None = MAX_LIVE,
        tenant_id: UUID | None = None,
        **fields: Unpack[ContainerFields],
    ) -> Container:
        """Store a container that the provider has made.

        Under the lock of the tenant: N concurrent calls never leave more than *max_live*.

        Args:
            openai_id: The provider's id.
            name: Its name, 1 to 128 characters, trimmed, white space collapsed.
            max_live: The most containers of the tenant that are not deleted; None for no limit.
            tenant_id: The tenant, in a system unit.
            fields: Further columns of the row.

        Raises:
            DuplicateError: A live container of the tenant has the name, or any one has the id.
            QuotaExceededError: The tenant has *max_live* already.
            NotFoundError: The owner is no member of the tenant.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, ContainerFields)
        tenant = self.unit.scope.owner(tenant_id)
        container = Container(
            openai_id=openai_id, name=check_name(name), tenant_id=tenant, **fields
        )
        await TenantAccountRepository(self.unit).require(tenant, lock=True)
        await check_quota(self, Container.tenant_id == tenant, max_live, "containers")
        return await self.add(container)

    async def by_name(self, name: str, *, tenant_id: UUID | None = None) -> Container | None:
        """Return the tenant's live container with this name, if any."""
        tenant = self.unit.scope.owner(tenant_id)
        return await self.find(Container.tenant_id == tenant, Container.name == check_name(name))

    async def touch(self, key: UUID, last_active_at: datetime) -> bool:
        """Note that a live container was in use; the latest instant stays.

        Returns:
            False if it was in use later than that.

        Raises:
            NotFoundError: There is no such container.
            NaiveDatetimeError: The instant has no time zone.
        """
        seen = Container.last_active_at
        later = or_(seen.is_(None), seen < literal(last_active_at, UTCDateTime()))
        live = Container.deleted_at.is_(None)
        if await self._compare_and_set(key, live, later, last_active_at=last_active_at):
            return True
        await self.require(key)
        return False

    async def soft_delete(self, key: UUID, *, now: datetime | None = None) -> bool:
        """Hide a container, and unbind the agents that use it; its name is free at once.

        A concurrent binding to it is either removed or refused.

        Returns:
            False if it was deleted before; the first time stays.

        Raises:
            NotFoundError: There is no such container.
        """
        container = await self.require(key, lock=True, include_deleted=True)
        if container.deleted_at is not None:
            return False
        at = await self.unit.read_clock(now)
        await self.update(key, status=ContainerStatus.DELETED, deleted_at=at)
        await self.unit.execute(delete(AgentContainer).where(AgentContainer.container_id == key))
        return True

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
