"""Vector stores at the provider."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from typing_extensions import Unpack

from agentdb.canonical import check_name
from agentdb.checks import check_count, check_duration, check_fields
from agentdb.errors import InvalidTransitionError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.quotas import check_quota
from agentdb.repository.skipping import among
from agentdb.tenancy import CHECKED
from agentdb.tenants.repository import TenantAccountRepository
from agentdb.types import uuid_pk
from agentdb.vector_stores.models import AgentVectorStore, VectorStore, VectorStoreFile
from agentdb.vector_stores.names import freed, named
from agentdb.vector_stores.rows import RemoteState, StoreFields
from agentdb.vector_stores.values import VectorStoreFileStatus, VectorStoreStatus

PENDING = "pending:"
"""What the provider's id begins with until there is one; the id of the row follows."""

MAX_CLAIM = 500

MIN_AGE = timedelta(minutes=1)
"""How long a store that was synchronised, or is being, is left alone."""


class VectorStoreRepository(Repository[VectorStore, UUID]):
    """Vector stores at the provider.

    The verbs that give a store a name take the lock of its tenant first, those that change one lock
    the store: concurrent verbs follow each other.
    """

    model = VectorStore

    async def create(
        self,
        openai_id: str,
        name: str,
        *,
        max_live: int | None = None,
        tenant_id: UUID | None = None,
        **fields: Unpack[StoreFields],
    ) -> VectorStore:
        """Store a vector store that the provider has made.

        N concurrent calls never leave more than *max_live*.

        Args:
            openai_id: The provider's id.
            name: Its name, 1 to 128 characters, trimmed, white space collapsed.
            max_live: The most stores of the tenant that are not deleted; None for no limit.
            tenant_id: The tenant, in a system unit.
            fields: Further columns of the row.

        Raises:
            DuplicateError: A live store of the tenant has the name, or any one has the id.
            QuotaExceededError: The tenant has *max_live* already.
            NotFoundError: The owner is no member of the tenant.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, StoreFields)
        tenant = self.unit.scope.owner(tenant_id)
        store = VectorStore(openai_id=openai_id, name=check_name(name), tenant_id=tenant, **fields)
        await self._reach(tenant, store.name)
        await check_quota(self, VectorStore.tenant_id == tenant, max_live, "vector stores")
        return await self.add(store)

    async def reserve(
        self,
        name: str,
        *,
        max_live: int | None = None,
        tenant_id: UUID | None = None,
        **fields: Unpack[StoreFields],
    ) -> tuple[VectorStore, bool]:
        """Return the tenant's store with this name; where there is none, one to be made remotely.

        Race-safe: of N concurrent callers one finds it new, makes the store at the provider, and
        tells by `attach_remote`. Arguments and errors as of `create`.

        Returns:
            The store, and whether it is new; a new one has ``pending:`` and its id for the
            provider's.
        """
        check_fields(fields, StoreFields)
        tenant, name = self.unit.scope.owner(tenant_id), check_name(name)
        await self._reach(tenant, name)
        present = await self.by_name(name, tenant_id=tenant)
        if present is not None:
            return present, False
        await check_quota(self, VectorStore.tenant_id == tenant, max_live, "vector stores")
        key = uuid_pk()
        store = VectorStore(
            id=key, openai_id=f"{PENDING}{key.hex}", name=name, tenant_id=tenant, **fields
        )
        return await self.add(store), True

    async def attach_remote(self, key: UUID, openai_id: str) -> VectorStore:
        """Note the provider's id of a store that was reserved; the same again changes nothing.

        Raises:
            NotFoundError: There is no such store, or it is deleted.
            InvalidTransitionError: It has another id already.
            DuplicateError: The id belongs to another store.
        """
        store = await self.require(key, lock=True)
        if store.openai_id == openai_id:
            return store
        if not store.openai_id.startswith(PENDING):
            raise InvalidTransitionError("the store has another id at the provider")
        return await self.update(key, openai_id=openai_id)

    async def by_name(self, name: str, *, tenant_id: UUID | None = None) -> VectorStore | None:
        """Return the tenant's live store with this name, if any."""
        tenant = self.unit.scope.owner(tenant_id)
        return await self.find(
            VectorStore.tenant_id == tenant, VectorStore.name == check_name(name)
        )

    async def set_remote_state(
        self, key: UUID, status: str, **state: Unpack[RemoteState]
    ) -> VectorStore:
        """Note what the provider tells of a store; its figure of the usage replaces ours.

        Raises:
            NotFoundError: There is no such store, or it is deleted.
            InvalidValueError: A column refuses its value, or the usage is below 0.
        """
        check_fields(state, RemoteState)
        check_count(state.get("usage_bytes", 0), "a usage", least=0)
        await self.require(key, lock=True)
        return await self.update(key, status=status, **state)

    async def soft_delete(self, key: UUID, *, now: datetime | None = None) -> bool:
        """Hide a store with its files, unbind the agents that use it, and free its name.

        The name is kept in the metadata, as ``agentdb.deleted_name``. A concurrent binding to the
        store, or a file attached to it, is either removed or refused.

        Returns:
            False if it was deleted before; the first time stays.

        Raises:
            NotFoundError: There is no such store.
        """
        store = await self.require(key, lock=True, include_deleted=True)
        if store.deleted_at is not None:
            return False
        at = await self.unit.read_clock(now)
        await self.update(
            key, status=VectorStoreStatus.DELETED, deleted_at=at, usage_bytes=0, **freed(store)
        )
        files = update(VectorStoreFile).where(
            VectorStoreFile.vector_store_id == key, VectorStoreFile.deleted_at.is_(None)
        )
        await self.unit.execute(files.values(status=VectorStoreFileStatus.DELETED, deleted_at=at))
        await self.unit.execute(
            delete(AgentVectorStore).where(AgentVectorStore.vector_store_id == key)
        )
        return True

    async def restore(self, key: UUID) -> VectorStore:
        """Show a deleted store again, without its files and bindings, under its name.

        Its status is ``in_progress`` until the provider tells another. One that is not deleted
        stays as it is.

        Raises:
            NotFoundError: There is no such store.
            DuplicateError: Another store has taken the name.
        """
        found = await self.require(key, include_deleted=True)
        await TenantAccountRepository(self.unit).require(found.tenant_id, lock=True)
        store = await self.require(key, lock=True, include_deleted=True)
        if store.deleted_at is None:
            return store
        back = named(store)
        await self._free(store.tenant_id, back["name"], but=key)
        status = VectorStoreStatus.IN_PROGRESS
        return await self.update(key, include_deleted=True, status=status, deleted_at=None, **back)

    async def claim_for_sync(
        self,
        *,
        limit: int = 20,
        min_age: timedelta = MIN_AGE,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> list[VectorStore]:
        """Take live stores whose state at the provider was not looked at for longest.

        Whatever their status, but for expired ones. What others claim at the same time is skipped,
        and a claimed store is left alone for *min_age*: no store goes to two workers.

        Args:
            limit: How many at the most, 1 to 500.
            min_age: How long ago a store has to have been changed.
            tenant_id: Whose stores, in a system unit; None for all.
            now: The clock of the claim.

        Returns:
            The stores, those changed longest ago first.
        """
        check_count(limit, "a limit", most=MAX_CLAIM)
        check_duration(min_age, "an age")
        tenant = self.unit.scope.filter(tenant_id)
        at = await self.unit.read_clock(now)
        due = self._due(at - min_age, tenant).limit(limit)
        claim: Any = update(VectorStore).where(
            among(VectorStore.id, due, postgresql=self.unit.is_postgresql)
        )
        found = await self._write(claim.values(updated_at=at).returning(VectorStore), CHECKED)
        return list(found.scalars())

    def _due(self, old: datetime, tenant: UUID | None) -> Any:
        own = [] if tenant is None else [VectorStore.tenant_id == tenant]
        query = select(VectorStore.id).where(
            VectorStore.deleted_at.is_(None),
            VectorStore.updated_at <= old,
            VectorStore.status != VectorStoreStatus.EXPIRED,
            *own,
        )
        query = query.order_by(VectorStore.updated_at, VectorStore.id)
        return query.with_for_update(skip_locked=True)

    async def _reach(self, tenant: UUID, name: str) -> None:
        """Lock the tenant, and free a name that a deleted store still holds."""
        await TenantAccountRepository(self.unit).require(tenant, lock=True)
        await self._free(tenant, name)

    async def _free(self, tenant: UUID, name: str, *, but: UUID | None = None) -> None:
        """Rename a deleted store of another origin than `soft_delete`."""
        holder = await self.find(
            VectorStore.tenant_id == tenant,
            VectorStore.name == name,
            VectorStore.deleted_at.is_not(None),
            include_deleted=True,
        )
        if holder is not None and holder.id != but:
            await self.update(holder.id, include_deleted=True, **freed(holder))

    async def by_openai_id(
        self, openai_id: str, *, include_deleted: bool = False
    ) -> VectorStore | None:
        """Return the store with the provider's id, if any."""
        return await self._by(VectorStore.openai_id, openai_id, include_deleted=include_deleted)

    async def for_tenant(
        self,
        tenant_id: UUID,
        *,
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[VectorStore]:
        """Return a page of the tenant's stores, newest first."""
        return await self._newest(
            VectorStore.tenant_id == tenant_id,
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
    ) -> Page[VectorStore]:
        """Return a page of the stores that the user owns, newest first."""
        return await self._newest(
            VectorStore.owner_user_id == owner_user_id,
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )
