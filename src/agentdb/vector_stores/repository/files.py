"""Files in vector stores."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.vector_stores.models import VectorStoreFile


class VectorStoreFileRepository(Repository[VectorStoreFile, UUID]):
    """Files in vector stores."""

    model = VectorStoreFile

    async def for_vector_store(
        self,
        vector_store_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[VectorStoreFile]:
        """Return a page of the store's files, newest first."""
        return await self._newest(
            VectorStoreFile.vector_store_id == vector_store_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
