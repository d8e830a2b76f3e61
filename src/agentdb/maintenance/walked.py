"""Walking over all rows of a table in the order of its key, to find those that are wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, literal, select
from typing_extensions import override

from agentdb.maintenance.aged import own
from agentdb.maintenance.runner import Batch, Counted, Sweep, cutoff
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork

K = TypeVar("K")


def chunks(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """Yield keys in parts that a statement takes."""
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        yield keys[start : start + KEYS_PER_STATEMENT]


async def lock_free(uow: UnitOfWork, table: Any, where: ColumnElement[bool]) -> Sequence[Any]:
    """Lock rows that nobody has locked, in their order, and return their ids."""
    query = select(table.c.id).where(where).order_by(table.c.id)
    free = query.with_for_update(key_share=True, skip_locked=True)
    return (await uow.execute(free)).scalars().all()


class Walked(Sweep[Any]):
    """Finds wrong rows and puts them right; a batch looks at so many rows, right ones included.

    Attributes:
        model: The table.
        outcomes: What a wrong row counts as; one alone.
    """

    model: ClassVar[type[Base]]

    def __init__(self, tenant: UUID | None) -> None:
        self._tenant = tenant

    @abstractmethod
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        """Return the condition that a row is wrong."""

    @abstractmethod
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        """Put rows right that were wrong a moment ago, as far as they are free; return how many."""

    def _window(self, limit: int | None, after: Any = None) -> Select[Any]:
        key = table_of(self.model).c["id"]
        query = select(key).where(*own(self.model, self._tenant)).order_by(key).limit(limit)
        return query if after is None else query.where(key > after)

    @override
    async def change(self, uow: UnitOfWork, after: Any, limit: int) -> Batch[Any]:
        table: Any = table_of(self.model)
        window = self._window(limit, after).subquery()
        wrong = (await self._wrong(uow)).label("is_wrong")
        look = select(window.c.id, wrong).select_from(window.join(table, table.c.id == window.c.id))
        found = (await uow.execute(look.order_by(window.c.id))).all()
        keys = [row.id for row in found if row.is_wrong]
        repaired = sum([await self._repair(uow, some) for some in chunks(keys)])
        position = found[-1].id if len(found) == limit else None
        return Batch({self.outcomes[0]: repaired}, position, len(found))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        table: Any = table_of(self.model)
        window = self._window(limit).subquery()
        wrong = func.count().filter(await self._wrong(uow)).label("wrong")
        query = select(func.count().label("rows"), wrong).select_from(
            window.join(table, table.c.id == window.c.id)
        )
        found = (await uow.execute(query)).one()
        return Counted(found.rows, {self.outcomes[0]: found.wrong})


class Deleted(Walked):
    """Purges soft-deleted rows of a table without an index of when: a tenant has few of them."""

    name = "purge_deleted"

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        super().__init__(tenant)
        self._older_than = older_than

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return table_of(self.model).c["deleted_at"] < await self._old(uow)

    async def _old(self, uow: UnitOfWork) -> ColumnElement[datetime]:
        return literal(await cutoff(uow, self._older_than), UTCDateTime())

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        table: Any = table_of(self.model)
        free = select(table.c.id).where(table.c.id.in_(keys), await self._wrong(uow))
        free = free.with_for_update(skip_locked=True)
        gone = delete(table).where(among(table.c.id, free, postgresql=uow.is_postgresql))
        return len((await uow.execute(gone.returning(table.c.id))).all())
