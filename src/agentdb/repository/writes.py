"""The writing half of every repository, and the tables where it is closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from sqlalchemy import ColumnElement, Result, delete, inspect, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from agentdb.driver_errors import orm_errors
from agentdb.errors import (
    AppendOnlyError,
    DuplicateError,
    InvalidValueError,
    PermissionDeniedError,
    TenantMismatchError,
)
from agentdb.orm import TenancyClass
from agentdb.repository.reads import K, M, Reads
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy import CHECKED, CONFINED, Write, owned, tenant_value, tied_columns
from agentdb.tenancy.predicates import table_of

TRIES = 3
"""How often a key is met that nobody holds any more when it is looked up: its row was deleted in
between. The key of another tenant's row is never seen, and met each time."""


class Repository(Reads[M, K]):
    """Reads and writes the rows of one table.

    Every verb runs in the transaction of the unit of work and never commits. Those that write run
    in a savepoint: after an error the unit is as it was before the verb, and goes on.

    In a tenant's unit a verb writes rows of that tenant alone, and a row may refer to rows of that
    tenant alone; the shared and the system tables are written by system units.
    """

    async def add(self, row: M) -> M:
        """Store a new row and return it.

        Raises:
            DuplicateError: A unique key is taken.
            NotFoundError: It refers to a row that does not exist or is another tenant's.
            InvalidValueError: A column refuses its value.
            TenantMismatchError: It names another tenant.
        """
        await self.add_many([row])
        return row

    async def add_many(self, rows: Iterable[M]) -> None:
        """Store new rows in few statements, all or none; errors as of `add`."""
        self.unit.check_writable(self.model)
        session = self.unit.session
        new = [self._checked_row(row) for row in rows]
        async with self.unit.savepoint():
            session.add_all(new)
            await session.flush()

    def _checked_row(self, row: M) -> M:
        if type(row) is not self.model:
            raise InvalidValueError(f"expects {self.model.__name__} objects")
        key = [getattr(row, column.key) for column in self._key_columns()]
        if None not in key and self.unit.loaded(self.model, key) not in (None, row):
            name = str(table_of(self.model).primary_key.name)
            raise DuplicateError(f"{name} is taken", constraint=name)
        return row

    async def update(self, key: K, *, include_deleted: bool = False, **values: Any) -> M:
        """Set columns of the row with *key* and return it.

        Two units that update one row do so one after the other: each column ends with the value of
        the later one.

        Raises:
            NotFoundError: There is no such row, or a reference leads nowhere.
            DuplicateError: A unique key is taken.
            InvalidValueError: A column does not exist or refuses its value.
            TenantMismatchError: The owner of a row cannot be changed.
        """
        self.unit.check_writable(self.model)
        self._check_names(values)
        self._refuse_fixed(values)
        if not values:
            return await self.require(key, include_deleted=include_deleted)
        where = [self._has_key(key), *self._visible(include_deleted=include_deleted)]
        statement = update(self.model).where(*where).values(**values).returning(self.model)
        async with self.unit.savepoint():
            known = {**await self._owner(key, values), **values}
            await self.unit.check(Write(self.model, known, frozenset(values)))
            row: M | None = (await self._write(statement, CHECKED)).scalar_one_or_none()
        if row is None:
            raise self._not_found()
        return row

    async def delete(self, key: K, *, include_deleted: bool = False) -> bool:
        """Delete the row with *key* for good, with what cascades from it.

        Returns:
            False if there was none.

        Raises:
            ReferencedError: Rows that do not cascade still refer to it.
        """
        self.unit.check_writable(self.model)
        where = [self._has_key(key), *self._visible(include_deleted=include_deleted)]
        statement = delete(self.model).where(*where).returning(self._key_columns()[0])
        async with self.unit.savepoint():
            found = (await self._write(statement, CHECKED)).first() is not None
        if found:
            self.unit.forget(self.model, self._key_values(key))
        return found

    async def upsert(
        self,
        values: Mapping[str, Any],
        conflict: str | Sequence[str],
        update: Sequence[str] | None = None,
    ) -> tuple[M, bool]:
        """Insert a row, or update the one that holds its unique key; race-safe.

        N concurrent calls all succeed and leave one row.

        Args:
            values: Columns of the row, by attribute; the tenant of the unit is filled in.
            conflict: The unique key: its columns, or the name of a constraint or unique index
                (partial ones by name).
            update: Columns that a present row takes from *values*; None means all but the key, an
                empty sequence leaves the row as it is.

        Returns:
            The row, and whether it is new.

        Raises:
            DuplicateError: Another unique key is taken, or the row with this one is another
                tenant's.
            InvalidValueError: A column or the unique key does not exist, or a value is refused.
            NotFoundError: A reference leads nowhere.
        """
        self.unit.check_writable(self.model)
        target = UniqueKey.find(self.model, conflict)
        chosen = [n for n in values if n not in target.names] if update is None else list(update)
        self._check_names([*values, *chosen])
        row = self._with_owner(values)
        async with self.unit.savepoint():
            await self.unit.check(Write(self.model, row))
            for _ in range(TRIES):
                stored, created = await self._upsert(row, target, chosen)
                if stored is not None:
                    return stored, created
        raise DuplicateError(f"{target.name} is taken", constraint=target.name)

    async def _upsert(
        self, row: dict[str, Any], target: UniqueKey, chosen: Sequence[str]
    ) -> tuple[M | None, bool]:
        # SQLite has no xmax; there the unit holds the write lock, so that looking first is safe.
        known = not self.unit.is_postgresql and await self._holder(row, target) is not None
        new = "xmax = 0" if self.unit.is_postgresql else str(int(not known))
        fresh: ColumnElement[Any] = literal_column(new)
        insert = postgresql.insert if self.unit.is_postgresql else sqlite.insert
        statement = target.resolve(insert(self.model).values(**row), chosen, self._own(row))
        result = await self._write(statement.returning(self.model, fresh), CONFINED)
        stored: Any = result.one_or_none()
        if stored is not None:
            return stored[0], bool(stored[1])
        return await self._holder(row, target), False

    async def _holder(self, row: Mapping[str, Any], target: UniqueKey) -> M | None:
        """Return the row that holds the unique key, if this unit may see it; NULL is never held."""
        if any(row.get(name) is None for name in target.names):
            return None
        where = [getattr(self.model, name) == row.get(name) for name in target.names]
        own = self._own(row)
        where += [] if own is None else [own]
        query = self._select(*where, *target.where, include_deleted=True)
        return (await self._write(query, CONFINED)).scalar_one_or_none()

    def _own(self, row: Mapping[str, Any]) -> ColumnElement[bool] | None:
        """Return the condition under which a present row is the one to change.

        In a tenant's unit it is the tenant's, in a system unit that of the owner whom *row* names.
        """
        tenancy, tenant = self.model.__tenancy__, self.unit.tenant
        if tenant is not None:
            return owned(self.model, tenancy, tenant)
        owner = row.get(str(tenancy.column))
        return None if owner is None else getattr(self.model, str(tenancy.column)) == owner

    async def _compare_and_set(
        self, key: K, *where: ColumnElement[bool], **values: Any
    ) -> M | None:
        """Set columns of a row, which refer to nothing, if it meets the conditions.

        One statement: of N concurrent calls with a condition that the change ends, one returns the
        row and the others None.
        """
        statement = update(self.model).where(self._has_key(key), *where).values(**values)
        with orm_errors():
            found = await self._write(statement.returning(self.model), CHECKED)
        row: M | None = found.scalar_one_or_none()
        return row

    async def _owner(self, key: K, names: Iterable[str]) -> dict[str, Any]:
        """Return the owner of a stored row whose references a system unit is about to change."""
        if self.unit.tenant is not None or tied_columns(self.model).isdisjoint(names):
            return {}
        column = str(self.model.__tenancy__.column)
        query = select(getattr(self.model, column)).where(self._has_key(key))
        return {column: (await self.unit.session.execute(query)).scalar_one_or_none()}

    def _with_owner(self, values: Mapping[str, Any]) -> dict[str, Any]:
        tenancy, tenant = self.model.__tenancy__, self.unit.tenant
        if tenant is None or tenancy.column != "tenant_id":
            return dict(values)
        return {str(tenancy.column): tenant_value(tenancy, tenant), **values}

    def _refuse_fixed(self, names: Iterable[str]) -> None:
        """Refuse to change what makes a row the one it is: its key and, once named, its owner."""
        fixed = {column.key for column in self._key_columns()}
        if fixed & set(names):
            raise InvalidValueError(f"the key of a row of {self.model.__tablename__} stays")
        tenancy = self.model.__tenancy__
        if tenancy.kind is TenancyClass.DIRECT and tenancy.column in set(names):
            raise TenantMismatchError(f"a row of {self.model.__tablename__} stays with its owner")

    def _check_names(self, names: Iterable[str]) -> None:
        unknown = set(names) - set(inspect(self.model).column_attrs.keys())
        if unknown:
            raise InvalidValueError(f"{self.model.__tablename__} has no {min(unknown)}")

    async def _write(self, statement: Any, option: str) -> Result[Any]:
        options: dict[str, Any] = {"synchronize_session": False, option: True}
        options["populate_existing"] = True
        result: Result[Any] = await self.unit.session.execute(statement, execution_options=options)
        return result


class AppendOnlyRepository(Repository[M, K]):
    """A log: rows are added and purged, never changed."""

    @override
    async def update(self, key: K, *, include_deleted: bool = False, **values: Any) -> NoReturn:
        """Refuse.

        Raises:
            AppendOnlyError: Always.
        """
        raise AppendOnlyError(f"{self.model.__tablename__} is append-only")

    @override
    async def upsert(
        self,
        values: Mapping[str, Any],
        conflict: str | Sequence[str],
        update: Sequence[str] | None = None,
    ) -> NoReturn:
        """Refuse.

        Raises:
            AppendOnlyError: Always.
        """
        raise AppendOnlyError(f"{self.model.__tablename__} is append-only")


class VerbWrittenRepository(Repository[M, K]):
    """Rows whose positions, stamps or states only verbs of the domain keep right.

    Attributes:
        verb: The verb that writes, named in the refusal of the generic ones.
    """

    verb: ClassVar[str]

    @override
    async def add_many(self, rows: Iterable[M]) -> NoReturn:
        """Refuse; `add` ends here too.

        Raises:
            PermissionDeniedError: Always.
        """
        raise self._refusal()

    @override
    async def update(self, key: K, *, include_deleted: bool = False, **values: Any) -> NoReturn:
        """Refuse.

        Raises:
            PermissionDeniedError: Always.
        """
        raise self._refusal()

    @override
    async def delete(self, key: K, *, include_deleted: bool = False) -> NoReturn:
        """Refuse.

        Raises:
            PermissionDeniedError: Always.
        """
        raise self._refusal()

    @override
    async def upsert(
        self,
        values: Mapping[str, Any],
        conflict: str | Sequence[str],
        update: Sequence[str] | None = None,
    ) -> NoReturn:
        """Refuse.

        Raises:
            PermissionDeniedError: Always.
        """
        raise self._refusal()

    def _refusal(self) -> PermissionDeniedError:
        return PermissionDeniedError(f"{self.model.__tablename__} is written by `{self.verb}`")
