"""What every repository needs of its unit of work."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Result, func, literal, select
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from agentdb.answers import take_in
from agentdb.direct import Call, Row, send
from agentdb.driver_errors import orm_errors
from agentdb.orm import Base
from agentdb.tenancy import CONFINED, Scope, Write, check_owner, check_writes
from agentdb.tenancy.predicates import model_of
from agentdb.types import UTCDateTime, utc_now

Clock = Callable[[], datetime]

TICK = timedelta(microseconds=1)
"""The least by which two stamps differ: both databases keep microseconds."""

_INSTANT = UTCDateTime()
_OWN_TENANT = {CONFINED: True}


class Unit:
    """A session, whose data it may touch, and its clock.

    Attributes:
        scope: The tenant, or the reason of a system unit.
    """

    def __init__(self, session: AsyncSession, scope: Scope, clock: Clock | None = None) -> None:
        self._session = session
        self.scope = scope
        self._clock = clock

    @property
    def session(self) -> AsyncSession:
        """The session of the unit; one transaction."""
        return self._session

    @property
    def hinted(self) -> set[str] | None:
        """Topics of which hints are given after COMMIT; None where the host commits."""
        return None

    @property
    def used_session(self) -> AsyncSession | None:
        """The session, if there is one yet."""
        return getattr(self, "_session", None)

    @property
    def tenant(self) -> UUID | None:
        """The tenant of the unit; None in a system unit."""
        return self.scope.tenant

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect of the database."""
        return self.session.sync_session.get_bind(model_of("tenant_accounts")).dialect

    @cached_property
    def is_postgresql(self) -> bool:
        """Whether the database is PostgreSQL; else it is SQLite."""
        return self.dialect.name == "postgresql"

    def now(self, given: datetime | None = None) -> ColumnElement[datetime]:
        """Return the current instant as an expression.

        On PostgreSQL the server reads its clock where the expression is evaluated, so after any
        lock that the statement waits for, unlike ``now()``, which stands still for a transaction.
        SQLite runs in this process and so on its clock.
        """
        moment = self.frozen(given)
        if moment is None and self.is_postgresql:
            return func.clock_timestamp(type_=UTCDateTime())
        return literal(moment or utc_now(), UTCDateTime())

    def steady_now(self, given: datetime | None = None) -> ColumnElement[datetime]:
        """Return `now` as an expression without a value in it, the same on every page of a walk.

        A cursor is bound to the conditions of its query.
        """
        if self.is_postgresql or self.frozen(given) is not None:
            return self.now(given)
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UTCDateTime())

    async def read_clock(self, given: datetime | None = None) -> datetime:
        """Return the current instant, by the clock that `now` reads.

        Only PostgreSQL's clock costs a round trip.
        """
        moment = self.frozen(given)
        if moment is None and self.is_postgresql:
            return (await self.session.execute(select(self.now()))).scalar_one()
        return moment or utc_now()

    def frozen(self, given: datetime | None = None) -> datetime | None:
        """Return the instant that replaces the database's clock; None where nothing does.

        Raises:
            NaiveDatetimeError: It has no time zone.
            InvalidValueError: It is no instant that both databases keep.
        """
        if given is None and self._clock is None:
            return None
        return _INSTANT.check(self._clock() if given is None and self._clock else given)

    def stamp(self, given: datetime | None, *newest: datetime | None) -> datetime:
        """Return the clock of this process, or just after the *newest* stamps if they are later."""
        after = [moment + TICK for moment in newest if moment is not None]
        return max([self.frozen(given) or utc_now(), *after])

    async def execute(
        self,
        statement: Executable,
        parameters: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
    ) -> Result[Any]:
        """Run a statement that names its tenant itself, past the filter."""
        with orm_errors():
            return await self.session.execute(statement, parameters, execution_options=_OWN_TENANT)

    async def send(self, *calls: Call, last: int | None = None) -> list[list[Row]]:  # noqa: ARG002
        """Run statements that name their tenant themselves, in one round trip; see `direct`.

        Each is built once and kept. What is pending in the session is not flushed.

        Args:
            calls: The statements.
            last: Where they may be the last that a verb has to run: the place of the one whose rows
                tell that they are, as without such rows nothing was written. A unit that has no
                more to do than this verb commits with them.

        Returns:
            The rows of each.
        """
        with orm_errors():
            return await self.session.run_sync(_send, calls)

    def check_writable(self, model: type[Base]) -> None:
        """Refuse a table that this unit may not write, before any SQL is sent."""
        check_owner(self.scope, Write(model, {}, frozenset()))

    async def check(self, *writes: Write) -> None:
        """Apply the rules of ownership to rows that are written without a flush."""
        await self.session.run_sync(check_writes, self.scope, writes)

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """Open a savepoint: what fails within undoes itself and leaves the unit usable."""
        with orm_errors():
            async with self.session.begin_nested():
                yield

    async def refresh(self, model: type[Base], key: Any) -> None:
        """Bring an entity up to date, if the unit has loaded it: a statement wrote past it."""
        entity = self.loaded(model, (key,))
        if entity is not None:
            await self.session.refresh(entity)

    @property
    def unflushed(self) -> AsyncSession | None:
        """The session, if it has what is not flushed yet."""
        session = self.used_session
        if session is not None and (session.new or session.dirty or session.deleted):
            return session
        return None

    def adopt(self, entity: Base) -> None:
        """Make an entity that has no session the unit's: a statement has just answered its row."""
        take_in(self.session.sync_session, entity)

    def loaded(self, model: type[Base], key: Iterable[Any]) -> Base | None:
        """Return the entity with *key* if the unit has it already; nothing is fetched."""
        used = self.used_session
        if used is None or not used.sync_session.identity_map:
            return None
        session = used.sync_session
        entity: Base | None = session.identity_map.get(session.identity_key(model, tuple(key)))
        return entity

    def forget(self, model: type[Base], key: Iterable[Any]) -> None:
        """Drop an entity whose row a statement has deleted."""
        entity = self.loaded(model, key)
        if entity is not None:
            self.session.expunge(entity)


def _send(session: Session, calls: Sequence[Call]) -> list[list[Row]]:
    bind = {"mapper": model_of("tenant_accounts")}
    # Of a session of ours, too, without BEGIN, which goes together with the statements.
    return send(Session.connection(session, bind_arguments=bind), calls)
