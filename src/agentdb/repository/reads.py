"""The reading half of every repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, ScalarResult, Select, and_, func, inspect, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from agentdb.checks import check_count
from agentdb.driver_errors import orm_errors
from agentdb.errors import InvalidValueError, MultipleRowsError, NotFoundError
from agentdb.orm import Base
from agentdb.paging import Page, check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository.entities import look_up
from agentdb.repository.order import Order, OrderBy, order_of
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.tenancy.predicates import owned
from agentdb.unit import Unit

_LARGEST_BATCH = 2**31 - 1

M = TypeVar("M", bound=Base)
K = TypeVar("K")


class Reads(Generic[M, K]):
    """Reads the rows of one table.

    In a tenant's unit every verb sees the rows of that tenant alone, in a system unit those of all.
    The tables with a ``deleted_at`` hide deleted rows unless ``include_deleted`` is set, which has
    no effect on the others.

    Attributes:
        model: The mapped class.
        newest: Name of the column that `for_…` pages are sorted by.
        unit: The unit of work.
    """

    model: type[M]
    newest: str = "created_at"

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    async def get(self, key: K, *, lock: bool = False, include_deleted: bool = False) -> M | None:
        """Return the row with *key*, None if there is none.

        Args:
            key: The primary key; a tuple in key order where it has several columns.
            lock: Lock the row until the unit ends; it has to be one that the unit may change.
                Foreign-key checks of other units pass; on SQLite, which has one writer at a time,
                nothing more is needed.
            include_deleted: See deleted rows too.

        Raises:
            PermissionDeniedError: A tenant's unit would lock what all tenants share.
        """
        query = self._select(self._has_key(key), include_deleted=include_deleted)
        if lock:
            self.unit.check_writable(self.model)
            query = query.where(*self._changeable()).with_for_update(key_share=True)
        return (await self._entities(query)).one_or_none()

    def _changeable(self) -> list[ColumnElement[bool]]:
        """Return what a row meets that the unit may change, where it reads more than that."""
        tenancy, tenant = self.model.__tenancy__, self.unit.tenant
        if tenant is None or not tenancy.shows_members:
            return []
        condition = owned(self.model, tenancy, tenant)
        return [] if condition is None else [condition]

    async def get_many(self, keys: Iterable[K], *, include_deleted: bool = False) -> dict[K, M]:
        """Return the rows with *keys*, by key; those that do not exist are left out."""
        wanted = list(dict.fromkeys(keys))
        found: dict[K, M] = {}
        for start in range(0, len(wanted), KEYS_PER_STATEMENT):
            chunk = wanted[start : start + KEYS_PER_STATEMENT]
            query = self._select(self._in_keys(chunk), include_deleted=include_deleted)
            for row in await self._entities(query):
                found[self._key_of(row)] = row
        return found

    async def require(self, key: K, *, lock: bool = False, include_deleted: bool = False) -> M:
        """Return the row with *key*, locked if asked for.

        Raises:
            NotFoundError: There is none.
            PermissionDeniedError: As of `get`.
        """
        row = await self.get(key, lock=lock, include_deleted=include_deleted)
        if row is None:
            raise self._not_found()
        return row

    async def find(self, *where: ColumnElement[bool], include_deleted: bool = False) -> M | None:
        """Return the first row that meets the conditions, by key; None if there is none."""
        query = self._select(*where, include_deleted=include_deleted)
        rows = await self._entities(query.order_by(*self._key_columns()).limit(1))
        return rows.one_or_none()

    async def one(self, *where: ColumnElement[bool], include_deleted: bool = False) -> M:
        """Return the only row that meets the conditions.

        Raises:
            NotFoundError: There is none.
            MultipleRowsError: There are several.
        """
        query = self._select(*where, include_deleted=include_deleted).limit(2)
        rows = (await self._entities(query)).all()
        if not rows:
            raise self._not_found()
        if len(rows) > 1:
            raise MultipleRowsError(f"several rows of {self.model.__tablename__} match")
        return rows[0]

    async def all(
        self,
        *where: ColumnElement[bool],
        order: Sequence[OrderBy] = (),
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> Sequence[M]:
        """Return every row that meets the conditions, by *order* and then by key.

        Args:
            where: Conditions, joined by AND.
            order: Columns in one direction.
            limit: The most rows to return; None returns all of them.
            include_deleted: See deleted rows too.

        Raises:
            InvalidValueError: The order or the limit is none.
        """
        if limit is not None:
            check_count(limit, "a limit", least=0)
        query = self._select(*where, include_deleted=include_deleted)
        query = query.order_by(*order_of(self.model, order).by()).limit(limit)
        return (await self._entities(query)).all()

    async def stream(
        self, *where: ColumnElement[bool], batch: int = 500, include_deleted: bool = False
    ) -> AsyncIterator[M]:
        """Yield the rows that meet the conditions, in key order and in constant memory.

        Args:
            where: Conditions, joined by AND.
            batch: Rows fetched at a time, 1 or more.
            include_deleted: See deleted rows too.

        Raises:
            InvalidValueError: The batch is none.
        """
        check_count(batch, "a batch", most=_LARGEST_BATCH)
        query = self._select(*where, include_deleted=include_deleted)
        query = query.order_by(*self._key_columns())
        with orm_errors():
            rows = await self.unit.session.stream_scalars(query.execution_options(yield_per=batch))
        try:
            # By the batch: row by row, each would take a switch of greenlets.
            async for some in rows.partitions():
                for row in some:
                    yield row
        finally:
            await rows.close()

    async def count(self, *where: ColumnElement[bool], include_deleted: bool = False) -> int:
        """Return how many rows meet the conditions."""
        query = select(func.count()).select_from(self.model)
        query = query.where(*where, *self._visible(include_deleted=include_deleted))
        with orm_errors():
            return (await self.unit.session.execute(query)).scalar_one()

    async def exists(self, *where: ColumnElement[bool], include_deleted: bool = False) -> bool:
        """Return whether any row meets the conditions; at most one is read."""
        query = select(self._key_columns()[0]).limit(1)
        query = query.where(*where, *self._visible(include_deleted=include_deleted))
        with orm_errors():
            return (await self.unit.session.execute(query)).first() is not None

    async def page(
        self,
        *where: ColumnElement[bool],
        order: Sequence[OrderBy] = (),
        after: str | None = None,
        limit: int = 50,
        include_deleted: bool = False,
    ) -> Page[M]:
        """Return one page; rows that do not change during a walk appear in it exactly once.

        Args:
            where: Conditions, joined by AND.
            order: Columns in one direction; the key completes them. The first may be nullable: its
                NULLs come last in both directions.
            after: Cursor of the page before; None starts.
            limit: Rows of a page, 1 to 500.
            include_deleted: See deleted rows too.

        Returns:
            The rows and the cursor of the next page, None exactly when nothing follows.

        Raises:
            InvalidCursorError: The cursor is damaged, or of another query, order or tenant.
            InvalidValueError: The order or the limit is none.
        """
        check_limit(limit)
        sort = order_of(self.model, order)
        seal = self._seal(where, sort, include_deleted=include_deleted)
        position = None if after is None else decode_cursor(seal, after, sort.kinds)
        query = self._select(*where, include_deleted=include_deleted)
        rows = await self._walk(query, sort, position, limit + 1)
        more = len(rows) > limit
        cursor = encode_cursor(seal, sort.position(rows[limit - 1])) if more else None
        return Page(tuple(rows[:limit]), cursor)

    async def _walk(
        self, query: Select[M], sort: Order, position: list[Any] | None, limit: int
    ) -> list[M]:
        """Read on from *position*; where the first column is nullable, its NULLs come after all."""
        if not sort.nullable:
            after = [] if position is None else [sort.after(position)]
            return await self._read(query.where(*after).order_by(*sort.by()), limit)
        first = sort.columns[0]
        rows: list[M] = []
        if position is None or position[0] is not None:
            after = [] if position is None else [sort.after(position)]
            part = query.where(first.is_not(None), *after).order_by(*sort.by())
            rows = await self._read(part, limit)
            position = None
        if len(rows) < limit:
            after = [] if position is None else [sort.after(position, 1)]
            part = query.where(first.is_(None), *after).order_by(*sort.by(1))
            rows += await self._read(part, limit - len(rows))
        return rows

    async def _read(self, query: Select[M], limit: int) -> list[M]:
        return list(await self._entities(query.limit(limit)))

    async def _by(
        self, column: InstrumentedAttribute[Any], value: object, *, include_deleted: bool = False
    ) -> M | None:
        """Return the row whose unique *column* holds *value*; none holds None."""
        if value is None:
            return None
        if self.unit.scope.is_system:
            return await look_up(
                self.unit, self.model, column.key, value, include_deleted=include_deleted
            )
        return await self.find(column == value, include_deleted=include_deleted)

    async def _newest(
        self,
        *where: ColumnElement[bool],
        after: str | None,
        limit: int,
        include_deleted: bool = False,
    ) -> Page[M]:
        """Return a page of the newest rows that meet the conditions."""
        column: InstrumentedAttribute[Any] = getattr(self.model, self.newest)
        return await self.page(
            *where,
            order=[column.desc()],
            after=after,
            limit=limit,
            include_deleted=include_deleted,
        )

    def _seal(
        self, where: Sequence[ColumnElement[bool]], sort: Order, *, include_deleted: bool
    ) -> str:
        table, tenant = self.model.__tablename__, self.unit.tenant
        return fingerprint(where, table, tenant, sort.names, sort.descending, include_deleted)

    def _select(self, *where: ColumnElement[bool], include_deleted: bool = False) -> Select[M]:
        return select(self.model).where(*where, *self._visible(include_deleted=include_deleted))

    def _visible(self, *, include_deleted: bool) -> list[ColumnElement[bool]]:
        deleted: InstrumentedAttribute[Any] | None = getattr(self.model, "deleted_at", None)
        return [] if include_deleted or deleted is None else [deleted.is_(None)]

    async def _entities(self, query: Select[M]) -> ScalarResult[M]:
        session = self.unit.session
        # A verb that writes by Core does not tell the identity map: what is read here is current.
        # Changes that a host has not flushed yet would be overwritten.
        with orm_errors():
            if not session.autoflush:
                await session.flush()
            return await session.scalars(query, execution_options={"populate_existing": True})

    def _key_columns(self) -> list[InstrumentedAttribute[Any]]:
        mapper = inspect(self.model)
        names = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
        return [getattr(self.model, name) for name in names]

    def _key_values(self, key: K) -> tuple[Any, ...]:
        values: tuple[Any, ...] = cast("tuple[Any, ...]", key) if type(key) is tuple else (key,)
        if len(values) != len(self._key_columns()):
            raise InvalidValueError(f"a key of {self.model.__tablename__} has other columns")
        return values

    def _has_key(self, key: K) -> ColumnElement[bool]:
        pairs = zip(self._key_columns(), self._key_values(key), strict=True)
        return and_(*(column == value for column, value in pairs))

    def _in_keys(self, keys: Sequence[K]) -> ColumnElement[bool]:
        columns = self._key_columns()
        if len(columns) == 1:
            return columns[0].in_(keys)
        return tuple_(*columns).in_([self._key_values(key) for key in keys])

    def _key_of(self, row: M) -> Any:
        values = [getattr(row, column.key) for column in self._key_columns()]
        return tuple(values) if len(values) > 1 else values[0]

    def _not_found(self) -> NotFoundError:
        return NotFoundError(f"no such row of {self.model.__tablename__}")
