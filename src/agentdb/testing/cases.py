"""One call of a function that is tested for isolation: who calls, on what, about which rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from agentdb.database import Database
from agentdb.orm import Base
from agentdb.testing.samples import Rows
from agentdb.unit_of_work import UnitOfWork

M = TypeVar("M", bound=Base)


class TenantCase:
    """What a call takes from `assert_tenant_isolated`.

    Attributes:
        tenant: The tenant that calls.
        database: The database, for functions that begin units of work themselves.
    """

    def __init__(self, database: Database, tenant: UUID, rows: Rows) -> None:
        """Take note; nothing is begun."""
        self.tenant = tenant
        self.database = database
        self._rows = rows
        self._sessions: list[AsyncSession] = []
        self._unit: UnitOfWork | None = None
        self._session: AsyncSession | None = None

    def row(self, model: type[M]) -> M:
        """Return the row of a model that the call is about.

        It belongs to the tenant that calls, to the other one, or to nobody: then it is not stored.
        Only the tables that all tenants read have one row for all.
        """
        row: M = self._rows[model.__tablename__]
        return row

    @property
    def unit(self) -> UnitOfWork:
        """A unit of work of the tenant; what it leaves pending is flushed."""
        if self._unit is None:
            self._unit = UnitOfWork(self._open(), tenant=self.tenant)
        return self._unit

    @property
    def session(self) -> AsyncSession:
        """A session as a host makes it, confined to nobody; what it leaves pending is flushed."""
        if self._session is None:
            self._session = self._open()
        return self._session

    async def flush(self) -> None:
        """Send what the call has left pending."""
        for session in self._sessions:
            await session.flush()

    async def commit(self) -> None:
        """Keep what was done."""
        for session in reversed(self._sessions):
            await session.commit()

    async def roll_back(self) -> None:
        """Undo what the call has not committed, as its caller does when it has raised."""
        for session in reversed(self._sessions):
            await session.rollback()

    async def close(self) -> None:
        """Give the connections back."""
        for session in reversed(self._sessions):
            await session.close()

    def _open(self) -> AsyncSession:
        session = AsyncSession(self.database.engine, expire_on_commit=False)
        self._sessions.append(session)
        return session


Call: TypeAlias = Callable[[TenantCase], object]
"""A function, synchronous or not; a stream that it returns is read to its end."""

Prepare: TypeAlias = Callable[[TenantCase], Awaitable[object]]
"""Stores more rows of the tenant of its argument."""
