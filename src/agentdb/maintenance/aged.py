"""Walking over rows that have grown old, in the order of an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, literal, select, tuple_
from typing_extensions import override

from agentdb.maintenance.runner import Batch, Counted, Sweep, cutoff
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.tenancy.predicates import belongs, table_of
from agentdb.unit_of_work import UnitOfWork

Place: TypeAlias = tuple[date, Any]
"""The stamp and the key of the row that a batch ended with."""


def own(model: type[Base], tenant: UUID | None) -> list[ColumnElement[bool]]:
    """Return the condition that a row is the tenant's, where one is named."""
    condition = None if tenant is None else belongs(table_of(model).c, model.__tenancy__, tenant)
    return [] if condition is None else [condition]


def old_rows(
    model: type[Base], stamp: str, old: date, where: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Select the keys of rows whose *stamp* is before *old*, the oldest first."""
    columns: Any = table_of(model).c
    query = select(columns.id).where(columns[stamp] < literal(old, columns[stamp].type), *where)
    return query.order_by(columns[stamp], columns.id)


def behind(model: type[Base], stamp: str, after: Place | None) -> list[ColumnElement[bool]]:
    """Return the condition that a row comes after a place of that order."""
    if after is None:
        return []
    columns: Any = table_of(model).c
    order = (columns[stamp], columns.id)
    values = [literal(v, c.type) for v, c in zip(after, order, strict=True)]
    return [tuple_(*order) > tuple_(*values)]


def last_place(rows: Sequence[Any], stamp: str, limit: int) -> Place | None:
    """Return where a batch ended; None if it was not full, and so the last one."""
    places = [(getattr(row, stamp), row.id) for row in rows]
    return max(places) if len(rows) == limit else None


async def count_rows(uow: UnitOfWork, found: Select[Any]) -> int:
    """Count the rows of a query."""
    query = select(func.count()).select_from(found.order_by(None).subquery())
    count: int = (await uow.execute(query)).scalar_one()
    return count


class Aged(Sweep[Place]):
    """Deletes rows whose stamp is long ago, or changes them.

    Attributes:
        model: The table.
        stamp: The column that tells the age; an index leads with it and the key.
    """

    model: ClassVar[type[Base]]
    stamp: ClassVar[str]
    outcomes: ClassVar[tuple[str, ...]] = ("deleted",)

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        self._tenant = tenant
        self._older_than = older_than

    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        old = await cutoff(uow, self._older_than)
        where = [*own(self.model, self._tenant), *behind(self.model, self.stamp, after)]
        return old_rows(self.model, self.stamp, old, where)

    def _write(self, uow: UnitOfWork) -> Any:  # noqa: ARG002 -- for those that stamp
        """Return what happens to the rows: a DELETE or an UPDATE that leaves the stamp."""
        return delete(table_of(self.model))

    @override
    async def change(self, uow: UnitOfWork, after: Place | None, limit: int) -> Batch[Place]:
        table: Any = table_of(self.model)
        free = (await self._due(uow, after)).limit(limit).with_for_update(skip_locked=True)
        chosen = self._write(uow).where(among(table.c.id, free, postgresql=uow.is_postgresql))
        gone = (await uow.execute(chosen.returning(table.c.id, table.c[self.stamp]))).all()
        return Batch({self.outcomes[0]: len(gone)}, last_place(gone, self.stamp, limit))

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        rows = await count_rows(uow, (await self._due(uow, None)).limit(limit))
        return Counted(rows, {self.outcomes[0]: rows})
