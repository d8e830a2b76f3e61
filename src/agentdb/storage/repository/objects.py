"""Objects in buckets."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.storage.models import StorageObject


class StorageObjectRepository(Repository[StorageObject, UUID]):
    """Objects in buckets."""

    model = StorageObject

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageObject]:
        """Return a page of the tenant's objects, newest first."""
        return await self._newest(
            StorageObject.tenant_id == tenant_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )

    async def for_bucket(
        self,
        bucket_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageObject]:
        """Return a page of the bucket's objects, newest first."""
        return await self._newest(
            StorageObject.bucket_id == bucket_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )

    async def for_created_by_user(
        self,
        created_by_user_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageObject]:
        """Return a page of the objects that the user made, newest first."""
        return await self._newest(
            StorageObject.created_by_user_id == created_by_user_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )

    async def for_conversation(
        self,
        conversation_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageObject]:
        """Return a page of the conversation's objects, newest first."""
        return await self._newest(
            StorageObject.conversation_id == conversation_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
