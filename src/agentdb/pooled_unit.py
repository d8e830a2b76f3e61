"""The unit of work of a `Database`, over a connection of its pool."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import override

from agentdb.answers import Answers
from agentdb.commits import to_the_end
from agentdb.direct import Call, Row, send_awaiting
from agentdb.driver_errors import orm_errors
from agentdb.errors import CommitUnknownError, UnavailableError
from agentdb.hints import hints_of
from agentdb.orm import Base
from agentdb.sessions import UnitSession
from agentdb.tenancy import Scope, bind_scope
from agentdb.unit import Clock
from agentdb.unit_of_work import UnitOfWork


class PooledUnit(UnitOfWork):
    """A unit whose session is made when it is first asked for.

    The hot verbs get by without one, and what a session does for every unit costs as much as their
    statements.
    """

    def __init__(self, connection: AsyncConnection, scope: Scope, clock: Clock | None) -> None:
        """Take over *connection*, whose transaction has begun."""
        self.connection = connection
        self.scope = scope
        self._hinted: set[str] = set()
        self._clock = clock
        self._answers = Answers()

    @property
    @override
    def hinted(self) -> set[str]:
        """Topics of which hints are given after COMMIT."""
        return self._hinted

    @property
    @override
    def session(self) -> AsyncSession:
        """The session of the unit; one transaction."""
        if self.used_session is None:
            self._session = self._join()
        return self._session

    def _join(self) -> AsyncSession:
        session = AsyncSession(
            self.connection,
            sync_session_class=UnitSession,
            expire_on_commit=False,
            join_transaction_mode="control_fully",
        )
        bind_scope(session.sync_session, self.scope)
        with orm_errors():
            # It takes part from the start: what it is told to roll back is what the unit has sent.
            Session.connection(session.sync_session)
        self._answers.hand_over(session.sync_session)
        return session

    @property
    @override
    def unflushed(self) -> AsyncSession | None:
        """The session, if it has what is not flushed yet; see `Unit.unflushed`."""
        return self.session if self._answers.is_changed else super().unflushed

    @override
    def adopt(self, entity: Base) -> None:
        """Make an entity the unit's; see `Unit.adopt`."""
        if self.used_session is not None or self._answers.is_full:
            super().adopt(entity)
        else:
            self._answers.keep(entity)

    @override
    def loaded(self, model: type[Base], key: Iterable[Any]) -> Base | None:
        """Return the entity with *key* if the unit has it already; see `Unit.loaded`."""
        if self.used_session is not None:
            return super().loaded(model, key)
        return self._answers.find(model, key)

    @property
    def _has_entities(self) -> bool:
        """Whether the host may have entities of the unit, which statements past them would age."""
        return self.used_session is not None or not self._answers.is_empty

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect of the database."""
        return self.connection.dialect

    @override
    async def send(self, *calls: Call, last: int | None = None) -> list[list[Row]]:
        """Run statements that name their tenant themselves, in one round trip; see `Unit.send`."""
        with orm_errors():
            if not self.connection.in_transaction():
                await self.connection.run_sync(self._begin)
            return await send_awaiting(self._connected, calls)

    @property
    def _connected(self) -> Connection:
        connection = self.connection.sync_connection
        if connection is None:
            raise ResourceClosedError
        return connection

    def _begin(self, connection: Connection) -> None:  # noqa: ARG002 -- that of the session
        """Begin the next transaction: the session has ended the one before, and takes part."""
        Session.connection(self.session.sync_session)

    async def finish(self) -> None:
        """Flush what is pending, and commit; a cancellation is heard until COMMIT is sent.

        Raises:
            AgentDBError: A row that was pending is refused.
            CommitUnknownError: The connection was lost before the answer came.
        """
        session = self.unflushed
        if session is not None:
            with orm_errors():
                await session.flush()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A cancellation that is already waiting is heard here, before COMMIT.
            await asyncio.sleep(0)
        await to_the_end(self.connection.run_sync(self._commit))

    async def close(self) -> None:
        """Roll back what is not committed, and give the connection back, or a broken one up."""
        if not self.connection.closed:
            await to_the_end(self.connection.run_sync(self._close))

    def _commit(self, connection: Connection) -> None:
        self._end(connection)
        self._give_hints(connection)
        self._close(connection)

    def _end(self, connection: Connection) -> None:
        """Commit; on the way the connection may be lost."""
        try:
            with orm_errors():
                if self.used_session is not None:
                    self.used_session.sync_session.commit()
                connection.commit()
        except UnavailableError as error:
            message = "the connection was lost while COMMIT was under way"
            raise CommitUnknownError(message) from error

    def _give_hints(self, connection: Connection) -> None:
        """Tell who waits for what is committed."""
        while self._hinted:
            hints_of(connection.engine).committed(self._hinted.pop())

    def _close(self, connection: Connection) -> None:
        if self.used_session is not None:
            self.used_session.sync_session.close()
        connection.close()
