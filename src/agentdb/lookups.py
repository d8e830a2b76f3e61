"""Units that look single rows up, each in a statement of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

from sqlalchemy import Connection, Select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.sql.visitors import iterate
from typing_extensions import override

from agentdb.direct import Call, Row, send_awaiting
from agentdb.driver_errors import orm_errors
from agentdb.errors import PermissionDeniedError, UnavailableError
from agentdb.orm import Base
from agentdb.pooled_unit import PooledUnit
from agentdb.postgresql import ask
from agentdb.tenancy import Scope
from agentdb.tenancy.binding import Binding
from agentdb.unit import Clock


class LookUpUnit(PooledUnit):
    """A system unit without a transaction, as far as the database can do without.

    It runs single SELECTs. What needs a session, or locks, or writes, is refused.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        scope: Scope,
        clock: Clock | None,
        *,
        schema: str | None,
    ) -> None:
        """Take over *connection*; see `Database.lookup`."""
        super().__init__(connection, scope, clock)
        self._binding = Binding(scope, schema, everywhere=True)

    @property
    @override
    def session(self) -> AsyncSession:
        """There is none.

        Raises:
            PermissionDeniedError: Always.
        """
        _refuse()

    @property
    @override
    def unflushed(self) -> None:
        """Nothing: what the host changes in what it has looked up is not stored."""
        return

    @override
    def adopt(self, entity: Base) -> None:
        """Remember an entity, so that the unit gives the same one for the same row."""
        if not self._answers.is_full:
            self._answers.keep(entity)

    @override
    async def send(self, *calls: Call, last: int | None = None) -> list[list[Row]]:
        """Run SELECTs; once more where the connection turns out to be lost.

        Raises:
            PermissionDeniedError: One is no SELECT, or locks rows; or nothing is found, and
                row-level security would hide it.
        """
        if not all(_only_reads(statement) for statement, _ in calls):
            _refuse()
        if self.connection.in_transaction():
            return await super().send(*calls)
        try:
            return await self._look(calls)
        except UnavailableError as error:
            if not error.lost:
                raise
            await self.connection.run_sync(_reconnect)
            return await self._look(calls)

    async def _look(self, calls: Sequence[Call]) -> list[list[Row]]:
        with orm_errors():
            found = await send_awaiting(self._connected, calls)
        # A row that was found was not hidden; one that was not may be.
        if not all(found):
            await self.connection.run_sync(ask, self._binding)
        return found

    @override
    async def close(self) -> None:
        """Give the connection back; without a transaction nothing has to be seen to its end."""
        if self.connection.in_transaction():
            await super().close()
        elif not self.connection.closed:
            await self.connection.run_sync(self._close)


def _reconnect(connection: Connection) -> None:
    """Replace the connection, which is lost."""
    with orm_errors():
        _ = connection.connection


@lru_cache(maxsize=256)
def _only_reads(statement: Any) -> bool:
    """Whether it is a SELECT, and no part of it locks or writes."""
    return not any(map(_acts, iterate(statement))) and isinstance(statement, Select)


def _acts(part: Any) -> bool:
    return bool(getattr(part, "is_dml", False)) or (
        getattr(part, "_for_update_arg", None) is not None
    )


def _refuse() -> NoReturn:
    raise PermissionDeniedError(
        "a unit of `lookup` finds single rows by unique keys: use `read` or `begin_system` for all"
        " else"
    )
