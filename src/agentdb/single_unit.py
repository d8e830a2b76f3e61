"""Units of one verb, whose COMMIT goes with its statements."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from typing_extensions import override

from agentdb.commits import to_the_end
from agentdb.direct import Call, Row, send_awaiting
from agentdb.driver_errors import code_of, orm_errors
from agentdb.errors import CommitUnknownError, PermissionDeniedError, UnavailableError
from agentdb.openings import is_kept_back, note_commit
from agentdb.orm import Base
from agentdb.pooled_unit import PooledUnit
from agentdb.tenancy import Scope
from agentdb.unit import Clock


class SingleUnit(PooledUnit):
    """A unit that commits with the first verb that knows its last statements, and is over then.

    With every other verb it is a unit as any, and commits at its end.
    """

    def __init__(self, connection: AsyncConnection, scope: Scope, clock: Clock | None) -> None:
        """Take over *connection*, whose transaction begins with its first statement."""
        super().__init__(connection, scope, clock)
        # Else something stands between that has to see COMMIT, as a pooler, or a test that
        # commits nothing; it then takes a round trip of its own.
        self._carries = is_kept_back(self._connected)
        self._over = False

    @property
    @override
    def session(self) -> AsyncSession:
        """The session of the unit, until it is over.

        Raises:
            PermissionDeniedError: It is over.
        """
        if self._over:
            _refuse()
        return super().session

    @override
    def adopt(self, entity: Base) -> None:
        """Make an entity the unit's, unless it is over: nothing would be stored of it."""
        if not self._over:
            super().adopt(entity)

    @override
    async def send(self, *calls: Call, last: int | None = None) -> list[list[Row]]:
        """Run statements, and commit if they are the last; see `Unit.send`.

        Raises:
            PermissionDeniedError: The unit is over.
            CommitUnknownError: The connection was lost before the answer came.
        """
        if self._over:
            _refuse()
        if last is None or self._has_entities:
            return await super().send(*calls)
        if self._carries:
            found = await self._send_and_commit(calls)
            self._over = bool(found[last])
            if not self._over:  # nothing is written yet, and the verb goes on
                await self.connection.run_sync(_begin_again)
        else:
            found = await super().send(*calls)
            self._over = bool(found[last])
            if self._over:
                await to_the_end(self.connection.run_sync(self._end))
        return found

    async def _send_and_commit(self, calls: Sequence[Call]) -> list[list[Row]]:
        try:
            with orm_errors():
                found = await send_awaiting(self._connected, calls, commit=True)
        except UnavailableError as error:
            if error.__cause__ is not None and code_of(error.__cause__) is not None:
                raise  # the server has refused a statement, and so all that come behind it
            message = "the connection was lost while COMMIT was under way"
            raise CommitUnknownError(message) from error
        note_commit(self._connected)
        return found

    @override
    async def finish(self) -> None:
        """Commit, unless that is done; see `PooledUnit.finish`."""
        if not self._over:
            await super().finish()

    @override
    async def close(self) -> None:
        """Give the connection back; what is committed stays, whatever the block has raised."""
        if self._over and not self.connection.closed:
            await self.connection.run_sync(self._leave)
        else:
            await super().close()

    def _leave(self, connection: Connection) -> None:
        self._give_hints(connection)
        try:
            # Sends nothing: SQLAlchemy is told that the transaction has ended. What was committed
            # stays so, even if the connection breaks now.
            with suppress(UnavailableError), orm_errors():
                connection.commit()
        finally:
            self._close(connection)


def _begin_again(connection: Connection) -> None:
    with orm_errors():
        connection.commit()
        connection.begin()


def _refuse() -> NoReturn:
    raise PermissionDeniedError(
        "a single unit is over with its verb: leave `single` out for a unit of several"
    )
