"""Objects in buckets."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, update
from typing_extensions import Unpack

from agentdb.checks import check_fields, check_switch
from agentdb.conversations.refs import require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import InvalidTransitionError, NotFoundError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.storage.models import StorageObject
from agentdb.storage.rows import ObjectFields, OnFrames, StoredFields
from agentdb.storage.statements import (
    buckets,
    deletion,
    keys_of,
    lock_for_purge,
    objects,
    purge_objects,
)
from agentdb.storage.values import StorageObjectStatus
from agentdb.types import uuid_pk

_WAITING = (StorageObjectStatus.PENDING, StorageObjectStatus.PENDING_UPLOAD)


class StorageObjectRepository(Repository[StorageObject, UUID]):
    """Objects in buckets: made before their bytes are stored, ready once they are."""

    model = StorageObject

    async def create(
        self,
        bucket_id: UUID,
        object_key: str,
        filename: str,
        *,
        id: UUID | None = None,  # noqa: A002 -- named as the column
        awaiting_upload: bool = False,
        tenant_id: UUID | None = None,
        **fields: Unpack[ObjectFields],
    ) -> StorageObject:
        """Store a new object, whose bytes are to follow.

        The bucket is not deleted meanwhile: `soft_delete` of it waits for the unit, or came first.

        Args:
            bucket_id: A live bucket of the tenant.
            object_key: Its key there; taken, also by a deleted object, until that is purged.
            filename: The name that people see.
            id: Its id, where the key is made from it; a new one unless given.
            awaiting_upload: The client uploads it by itself: ``pending_upload``, else ``pending``.
            tenant_id: The tenant, in a system unit.
            fields: Further columns.

        Raises:
            NotFoundError: There is no such live bucket, or a reference leads nowhere.
            DuplicateError: The key or the id is taken.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, ObjectFields)
        tenant = self.unit.scope.owner(tenant_id)
        await self._hold_bucket(bucket_id, tenant)
        status = _WAITING[int(check_switch(awaiting_upload, "awaiting an upload"))]
        row = StorageObject(
            id=uuid_pk() if id is None else id,
            tenant_id=tenant,
            bucket_id=bucket_id,
            object_key=object_key,
            filename=filename,
            status=status,
            **fields,
        )
        return await self.add(row)

    async def _hold_bucket(self, bucket: UUID, tenant: UUID) -> None:
        """Keep a bucket live until the unit ends; others may make objects in it, too."""
        live = (buckets.c.id == bucket, buckets.c.tenant_id == tenant)
        query = select(buckets.c.id).where(*live, buckets.c.deleted_at.is_(None))
        if not await keys_of(self.unit, query.with_for_update(read=True)):
            raise NotFoundError("no such row of storage_buckets")

    async def mark_ready(
        self,
        object_id: UUID,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **stored: Unpack[StoredFields],
    ) -> StorageObject:
        """Note that the bytes of an object are stored, and what they are.

        One statement decides: of this and a concurrent `soft_delete`, the later one finds what the
        other has left. A ready object stays as it is, so that the call can be repeated.

        Args:
            object_id: The object.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.
            stored: Size, checksum and type; what is not given stays as it was announced.

        Raises:
            NotFoundError: The tenant has no such object.
            InvalidTransitionError: It is deleted, or ready with another checksum.
            InvalidValueError: A column refuses its value.
        """
        check_fields(stored, StoredFields)
        own = self._named(object_id, tenant_id)
        ready = {"status": StorageObjectStatus.READY, "updated_at": self.unit.now(now), **stored}
        waiting = (objects.c.status.in_(_WAITING), objects.c.deleted_at.is_(None))
        changed: Any = update(objects).where(*own, *waiting).values(**ready)
        async with self.unit.savepoint():
            await keys_of(self.unit, changed.returning(objects.c.id))
        row = await self.one(*own, include_deleted=True)
        return _ready(row, stored)

    async def search(
        self,
        *,
        conversation: ConversationRef | None = None,
        status: str | None = None,
        bucket_id: UUID | None = None,
        created_by_user_id: UUID | None = None,
        agent_key: str | None = None,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
        tenant_id: UUID | None = None,
    ) -> Page[StorageObject]:
        """Return a page of objects, newest first.

        Args:
            conversation: Of this conversation; none where it does not exist.
            status: In this state.
            bucket_id: In this bucket.
            created_by_user_id: Made by this user.
            agent_key: Made by this agent.
            after: Cursor of the page before; None starts.
            limit: Objects of a page, 1 to 500.
            include_deleted: See deleted objects too.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
            TenantRequiredError: A conversation is given by its key, and no tenant is known.
        """
        wanted = {
            "tenant_id": self.unit.scope.filter(tenant_id),
            "status": status,
            "bucket_id": bucket_id,
            "created_by_user_id": created_by_user_id,
            "agent_key": agent_key,
        }
        where: list[ColumnElement[bool]] = [
            getattr(StorageObject, name) == value
            for name, value in wanted.items()
            if value is not None
        ]
        where += await self._of_conversation(conversation, tenant_id)
        return await self._newest(*where, after=after, limit=limit, include_deleted=include_deleted)

    async def _of_conversation(
        self, ref: ConversationRef | None, tenant_id: UUID | None
    ) -> list[ColumnElement[bool]]:
        if ref is None:
            return []
        try:
            found = await require_by_ref(self.unit, ref, tenant_id)
        except NotFoundError:
            return [false()]
        return [StorageObject.conversation_id == found]

    async def soft_delete(
        self, object_id: UUID, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> bool:
        """Hide an object, whatever its state, until its purge.

        Remove its bytes from the store after the commit, and then `purge` the row. A frame of the
        ledger that is in the object can be read as long as the bytes are there.

        Args:
            object_id: The object.
            tenant_id: The tenant, in a system unit.
            now: The clock of the deletion.

        Returns:
            False if it was deleted already; the first time stays.

        Raises:
            NotFoundError: The tenant has no such object.
        """
        own = self._named(object_id, tenant_id)
        changed: Any = update(objects).where(*own, objects.c.deleted_at.is_(None))
        changed = changed.values(**deletion(self.unit.now(now)))
        deleted = await keys_of(self.unit, changed.returning(objects.c.id))
        await self.one(*own, include_deleted=True)
        return bool(deleted)

    async def purge(
        self,
        object_id: UUID,
        *,
        ledger: OnFrames = "tombstone",
        tenant_id: UUID | None = None,
    ) -> bool:
        """Delete an object for good.

        Remove its bytes from the store first: afterwards nothing names them. A concurrent append
        that spills to the same key is wholly before, and its frame becomes a tombstone, or stores
        the object anew.

        Args:
            object_id: The object, deleted or not.
            ledger: ``"tombstone"``: frames of the ledger that are in it keep what their columns
                tell, and ``"payload_purged": true``; a replay shows them so. ``"refuse"``: they
                stand against it.
            tenant_id: The tenant, in a system unit.

        Returns:
            False if there was none.

        Raises:
            ReferencedError: Frames are in it, and *ledger* is ``"refuse"``.
            InvalidValueError: *ledger* is neither.
        """
        own = self._named(object_id, tenant_id)
        async with self.unit.savepoint():
            held = await lock_for_purge(self.unit, objects, *own)
            await purge_objects(self.unit, held, ledger)
        return bool(held)

    def _named(self, key: UUID, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        self.unit.check_writable(self.model)
        tenant = self.unit.scope.filter(tenant_id)
        own = [] if tenant is None else [StorageObject.tenant_id == tenant]
        return [StorageObject.id == key, *own]

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


def _ready(row: StorageObject, stored: StoredFields) -> StorageObject:
    checksum = stored.get("checksum_sha256", row.checksum_sha256)
    if row.status != StorageObjectStatus.READY or row.deleted_at is not None:
        raise InvalidTransitionError("a deleted object does not become ready")
    if row.checksum_sha256 != checksum:
        raise InvalidTransitionError("the object is ready with another checksum")
    return row
