"""Files in vector stores."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from typing_extensions import Unpack

from agentdb.checks import check_count, check_fields
from agentdb.errors import QuotaExceededError, ValueOutOfRangeError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.vector_stores.models import VectorStore, VectorStoreFile
from agentdb.vector_stores.repository.stores import VectorStoreRepository
from agentdb.vector_stores.rows import FileFields
from agentdb.vector_stores.values import VectorStoreFileStatus

MAX_USAGE = 2**31 - 1
"""What the column of a store's usage holds."""


class VectorStoreFileRepository(Repository[VectorStoreFile, UUID]):
    """Files in vector stores.

    A file counts as its ``usage_bytes``, or as its ``size_bytes`` while that is 0. Every verb locks
    the store first, and moves the store's usage by the difference, never below 0.
    """

    model = VectorStoreFile

    async def attach(
        self,
        vector_store_id: UUID,
        openai_file_id: str,
        filename: str,
        *,
        max_files: int | None = None,
        max_bytes: int | None = None,
        **fields: Unpack[FileFields],
    ) -> tuple[VectorStoreFile, bool]:
        """Attach a file to a store.

        A file that is attached stays as it is; one that was detached is attached again, with the
        columns that are given now. N concurrent calls never exceed a limit.

        Args:
            vector_store_id: A live store.
            openai_file_id: The provider's id of the file.
            filename: Its name.
            max_files: The most files of the store; None for no limit.
            max_bytes: The most bytes of the store; None for no limit.
            fields: Further columns of the row.

        Returns:
            The file, and whether it was attached now.

        Raises:
            NotFoundError: There is no such store, or it is deleted.
            QuotaExceededError: The store would exceed a limit.
            InvalidValueError: A column refuses its value, or a size is below 0.
        """
        check_fields(fields, FileFields)
        store = await VectorStoreRepository(self.unit).require(vector_store_id, lock=True)
        present = await self.find(*_named(store.id, openai_file_id), include_deleted=True)
        if present is not None and present.deleted_at is None:
            return present, False
        new = VectorStoreFile(
            openai_file_id=openai_file_id, vector_store_id=store.id, filename=filename, **fields
        )
        await self._check_count(store.id, max_files)
        usage = _checked_usage(store.usage_bytes + counted(new), max_bytes)
        row = await self._attached(present, new)
        await self._set_usage(store, usage)
        return row, True

    async def detach(
        self, vector_store_id: UUID, openai_file_id: str, *, now: datetime | None = None
    ) -> bool:
        """Take a file from a store; False if it has none of this id.

        Raises:
            NotFoundError: There is no such store, or it is deleted.
        """
        store = await VectorStoreRepository(self.unit).require(vector_store_id, lock=True)
        row = await self.find(*_named(store.id, openai_file_id))
        if row is None:
            return False
        usage, at = store.usage_bytes - counted(row), await self.unit.read_clock(now)
        await self.update(row.id, status=VectorStoreFileStatus.DELETED, deleted_at=at)
        await self._set_usage(store, usage)
        return True

    async def set_state(
        self,
        key: UUID,
        status: str,
        *,
        usage_bytes: int | None = None,
        last_error: str | None = None,
    ) -> VectorStoreFile:
        """Note what the provider tells of a file.

        Args:
            key: The file.
            status: Its status, up to 16 characters.
            usage_bytes: What it takes up in the store; None leaves it as it is.
            last_error: What went wrong; None where nothing did.

        Raises:
            NotFoundError: There is no such file, or it is detached.
            InvalidValueError: A column refuses its value, or the usage is below 0.
        """
        found = await self.require(key)
        store = await VectorStoreRepository(self.unit).require(found.vector_store_id, lock=True)
        row = await self.require(key)
        usage_bytes = row.usage_bytes if usage_bytes is None else usage_bytes
        after = bytes_of(usage_bytes, row.size_bytes)
        usage = _checked_usage(store.usage_bytes + after - counted(row), None)
        row = await self.update(key, status=status, last_error=last_error, usage_bytes=usage_bytes)
        await self._set_usage(store, usage)
        return row

    async def for_openai_file(
        self,
        openai_file_id: str,
        *,
        tenant_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[VectorStoreFile]:
        """Return a page of the places where a file is attached, in all live stores, newest first.

        Args:
            openai_file_id: The provider's id of the file.
            tenant_id: Whose stores, in a system unit; None for all.
            after: Cursor of the page before; None starts.
            limit: Rows of a page, 1 to 500.
        """
        tenant = self.unit.scope.filter(tenant_id)
        own = [] if tenant is None else [VectorStore.tenant_id == tenant]
        live = select(VectorStore.id).where(VectorStore.deleted_at.is_(None), *own)
        return await self._newest(
            VectorStoreFile.openai_file_id == openai_file_id,
            VectorStoreFile.vector_store_id.in_(live),
            after=after,
            limit=limit,
        )

    async def _attached(
        self, present: VectorStoreFile | None, new: VectorStoreFile
    ) -> VectorStoreFile:
        """Store a new row, or revive the one that holds its key, as if it were new."""
        if present is None:
            return await self.add(new)
        again = {name: getattr(new, name) for name in _REVIVED}
        return await self.update(present.id, include_deleted=True, deleted_at=None, **again)

    async def _check_count(self, store: UUID, max_files: int | None) -> None:
        if max_files is None:
            return
        check_count(max_files, "a number of files", least=0)
        if await self.count(VectorStoreFile.vector_store_id == store) >= max_files:
            raise QuotaExceededError(f"the store has {max_files} files already")

    async def _set_usage(self, store: VectorStore, usage: int) -> None:
        if usage != store.usage_bytes:
            await VectorStoreRepository(self.unit).update(store.id, usage_bytes=max(usage, 0))

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


_REVIVED = (
    "filename",
    "mime_type",
    "size_bytes",
    "usage_bytes",
    "status",
    "attributes_json",
    "chunking_json",
    "last_error",
)


def counted(row: VectorStoreFile) -> int:
    """Return the bytes that a file counts for in its store."""
    return bytes_of(row.usage_bytes, row.size_bytes)


def bytes_of(usage_bytes: int, size_bytes: int | None) -> int:
    """Return what counts: what a file takes up, or its size while that is not known."""
    for number in (usage_bytes, 0 if size_bytes is None else size_bytes):
        check_count(number, "a size", least=0)
    return usage_bytes or size_bytes or 0


def _named(store: UUID, openai_file_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    named = VectorStoreFile.openai_file_id == openai_file_id
    return VectorStoreFile.vector_store_id == store, named


def _checked_usage(total: int, max_bytes: int | None) -> int:
    if max_bytes is not None and total > check_count(max_bytes, "a number of bytes", least=0):
        raise QuotaExceededError(f"the files of the store would exceed {max_bytes} bytes")
    if total > MAX_USAGE:
        raise ValueOutOfRangeError("the usage exceeds 32 bits", table="vector_stores")
    return total
