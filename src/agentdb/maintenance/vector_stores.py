"""Maintenance of vector stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, ColumnElement, and_, delete, literal, or_, select, update
from typing_extensions import Unpack, override

from agentdb.database import Database
from agentdb.maintenance.runner import PlanOptions, Report, cutoff, run_aged
from agentdb.maintenance.walked import Deleted, Walked, lock_free
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork
from agentdb.vector_stores.models import VectorStore, VectorStoreFile
from agentdb.vector_stores.statements import files, stores
from agentdb.vector_stores.values import VectorStoreStatus


async def expire_vector_stores(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Mark stores as expired whose time at the provider is over; they are synchronised no more.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``expired`` stores.
    """
    return await run_aged(db, older_than, options, ExpiredStores)


class ExpiredStores(Walked):
    """Live stores, in the order of their ids.

    There is no index by expiry: a tenant has few stores.
    """

    name = "expire_vector_stores"
    outcomes: ClassVar[tuple[str, ...]] = ("expired",)
    model: ClassVar[type[Base]] = VectorStore

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        super().__init__(tenant)
        self._older_than = older_than

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        old = literal(await cutoff(uow, self._older_than), UTCDateTime())
        live = stores.c.deleted_at.is_(None)
        return and_(live, stores.c.expires_at <= old, stores.c.status != VectorStoreStatus.EXPIRED)

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        free = select(stores.c.id).where(stores.c.id.in_(keys), await self._wrong(uow))
        free = free.with_for_update(skip_locked=True)
        due = update(stores).where(among(stores.c.id, free, postgresql=uow.is_postgresql))
        changed = due.values(status=VectorStoreStatus.EXPIRED).returning(stores.c.id)
        return len((await uow.execute(changed)).all())


class DeletedFiles(Deleted):
    """Files that were detached, and whatever is left in deleted stores."""

    outcomes: ClassVar[tuple[str, ...]] = (VectorStoreFile.__tablename__,)
    model: ClassVar[type[Base]] = VectorStoreFile

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        # Of the store as a value: PostgreSQL would hash all deleted stores for an EXISTS.
        its = select(stores.c.deleted_at).where(stores.c.id == files.c.vector_store_id)
        old = await self._old(uow)
        return or_(files.c.deleted_at < old, its.correlate(files).scalar_subquery() < old)

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        # The lock of the verbs: a file is not attached again while it goes.
        some = files.c.id.in_(keys)
        free = await lock_free(
            uow, stores, stores.c.id.in_(select(files.c.vector_store_id).where(some))
        )
        gone = delete(files).where(some, files.c.vector_store_id.in_(free), await self._wrong(uow))
        return len((await uow.execute(gone.returning(files.c.id))).all())


class DeletedStores(Deleted):
    """Stores, once no file is in them."""

    outcomes: ClassVar[tuple[str, ...]] = (VectorStore.__tablename__,)
    model: ClassVar[type[Base]] = VectorStore

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        holding = select(files.c.vector_store_id).where(files.c.vector_store_id.in_(keys))
        full = set((await uow.execute(holding.distinct())).scalars())
        return await super()._repair(uow, [key for key in keys if key not in full])
