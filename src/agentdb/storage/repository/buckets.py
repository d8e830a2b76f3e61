"""Buckets of tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, update
from typing_extensions import Unpack, override

from agentdb.checks import check_fields
from agentdb.errors import ConflictError, ReferencedError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.storage.models import StorageBucket, StorageObject
from agentdb.storage.repository.objects import StorageObjectRepository
from agentdb.storage.rows import BucketFields, OnFrames
from agentdb.storage.statements import (
    buckets,
    is_live_default,
    keys_of,
    lock_for_purge,
    objects,
    purge_objects,
)
from agentdb.storage.values import StorageBucketStatus
from agentdb.tenants.repository import TenantAccountRepository


class StorageBucketRepository(Repository[StorageBucket, UUID]):
    """Buckets of tenants, one of which is the default."""

    model = StorageBucket

    async def get_or_create(
        self,
        provider: str,
        bucket_name: str,
        *,
        make_default: bool = False,
        tenant_id: UUID | None = None,
        **fields: Unpack[BucketFields],
    ) -> tuple[StorageBucket, bool]:
        """Return the tenant's bucket of a name, made if there is none.

        Race-safe: N concurrent calls all succeed and leave one row, and one default. A deleted
        bucket is revived, as it is described now. The first live bucket becomes the default.

        Args:
            provider: The kind of store it is at, 1 to 16 characters.
            bucket_name: Its name there, unique within the tenant.
            make_default: Make it the default, in place of the one that is.
            tenant_id: The tenant, in a system unit.
            fields: Further columns; a live bucket keeps its own.

        Returns:
            The row, and whether it is new; a revived one is not.

        Raises:
            ConflictError: The live bucket of the name is at another provider.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, BucketFields)
        tenant = self.unit.scope.owner(tenant_id)
        named = (StorageBucket.tenant_id == tenant, StorageBucket.bucket_name == bucket_name)
        known = await self.find(*named)
        created = False
        if known is None or make_default:
            await self._lock_tenant(tenant)
            known = await self.find(*named)
        if known is None:
            is_first = not await self.exists(StorageBucket.tenant_id == tenant)
            values: dict[str, Any] = {"status": StorageBucketStatus.READY, **_UNSAID, **fields}
            values |= {"tenant_id": tenant, "provider": provider, "bucket_name": bucket_name}
            values |= {"is_default": is_first, "deleted_at": None}
            known, created = await self.upsert(values, ["tenant_id", "bucket_name"])
        if known.provider != provider:
            raise ConflictError("the bucket of this name is at another provider")
        return (await self._make_default(known) if make_default else known), created

    async def default(self, *, tenant_id: UUID | None = None) -> StorageBucket | None:
        """Return the tenant's default bucket, if any; the newest, should there be several."""
        newest = [StorageBucket.created_at.desc()]
        found = await self.all(
            StorageBucket.tenant_id == self.unit.scope.owner(tenant_id),
            is_live_default(),
            order=newest,
            limit=1,
        )
        return found[0] if found else None

    async def set_default(self, bucket_id: UUID, *, tenant_id: UUID | None = None) -> StorageBucket:
        """Make a bucket the default of its tenant, and the only one.

        Raises:
            NotFoundError: The tenant has no such live bucket.
        """
        known = await self.one(*self._named(bucket_id, tenant_id))
        await self._lock_tenant(known.tenant_id)
        return await self._make_default(await self.require(bucket_id, lock=True))

    async def soft_delete(
        self, bucket_id: UUID, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> bool:
        """Hide a bucket in which no live object is, until it is made again or purged.

        Args:
            bucket_id: The bucket.
            tenant_id: The tenant, in a system unit.
            now: The clock of the deletion.

        Returns:
            False if it was deleted already; the first time stays.

        Raises:
            NotFoundError: The tenant has no such bucket.
            ReferencedError: Live objects are in it.
        """
        await self.one(*self._named(bucket_id, tenant_id), include_deleted=True)
        # An object is made under a lock that this one waits for.
        row = await self.require(bucket_id, lock=True, include_deleted=True)
        if row.deleted_at is not None:
            return False
        if await StorageObjectRepository(self.unit).exists(StorageObject.bucket_id == bucket_id):
            raise ReferencedError("live objects are in the bucket")
        at = await self.unit.read_clock(now)
        await self.update(bucket_id, deleted_at=at, updated_at=at)
        return True

    async def purge(
        self,
        bucket_id: UUID,
        *,
        ledger: OnFrames = "tombstone",
        tenant_id: UUID | None = None,
    ) -> bool:
        """Delete a bucket for good, with all its objects, live ones too.

        Remove their bytes from the store first: afterwards nothing names them.

        Args:
            bucket_id: The bucket, deleted or not.
            ledger: As of `StorageObjectRepository.purge`.
            tenant_id: The tenant, in a system unit.

        Returns:
            False if there was none.

        Raises:
            ReferencedError: Frames of the ledger are in its objects, and *ledger* is ``"refuse"``;
                nothing is deleted.
        """
        if not await self._lock(bucket_id, tenant_id):
            return False
        async with self.unit.savepoint():
            held = await lock_for_purge(self.unit, objects, objects.c.bucket_id == bucket_id)
            await purge_objects(self.unit, held, ledger)
            await self.unit.execute(delete(buckets).where(buckets.c.id == bucket_id))
        self.unit.forget(StorageBucket, (bucket_id,))
        return True

    @override
    async def delete(self, key: UUID, *, include_deleted: bool = False) -> bool:
        """Delete an empty bucket for good; `purge` deletes one with its objects.

        Returns:
            False if there was none.

        Raises:
            ReferencedError: Objects are in it, live or deleted.
        """
        if await self._lock(key, None) and await self._holds_objects(key):
            raise ReferencedError("objects are in the bucket: purge it")
        return await super().delete(key, include_deleted=include_deleted)

    async def _holds_objects(self, bucket: UUID) -> bool:
        mine = StorageObject.bucket_id == bucket
        return await StorageObjectRepository(self.unit).exists(mine, include_deleted=True)

    async def _lock(self, bucket: UUID, tenant_id: UUID | None) -> bool:
        """Lock a bucket, so that nothing comes into it; False if there is none."""
        self.unit.check_writable(self.model)
        return bool(await lock_for_purge(self.unit, buckets, *self._named(bucket, tenant_id)))

    async def _lock_tenant(self, tenant: UUID) -> None:
        await TenantAccountRepository(self.unit).require(tenant, lock=True)

    async def _make_default(self, row: StorageBucket) -> StorageBucket:
        """Make it the only default, under the lock of the tenant."""
        others = [buckets.c.tenant_id == row.tenant_id, buckets.c.id != row.id]
        cleared = update(buckets).where(*others, is_live_default()).values(is_default=False)
        for key in await keys_of(self.unit, cleared.returning(buckets.c.id)):
            await self.unit.refresh(StorageBucket, key)
        return row if row.is_default else await self.update(row.id, is_default=True)

    def _named(self, bucket: UUID, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        own = [] if tenant is None else [StorageBucket.tenant_id == tenant]
        return [StorageBucket.id == bucket, *own]

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[StorageBucket]:
        """Return a page of the tenant's buckets, newest first."""
        return await self._newest(
            StorageBucket.tenant_id == tenant_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )


_UNSAID: BucketFields = {"region": None, "prefix": None}
"""What a revived bucket does not keep."""
