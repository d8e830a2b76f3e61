"""Reading frames on from a position."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.checks import check_text, check_values
from agentdb.conversations.refs import require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import conversations
from agentdb.errors import InvalidValueError, ResyncRequiredError
from agentdb.ledger.frames import check_event_id
from agentdb.ledger.rows import LedgerFrame, LedgerPage
from agentdb.ledger.statements import find_frame, replay
from agentdb.paging import check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.unit import Unit

MAX_REPLAY = 1000
"""Frames of one replay at the most."""

MAX_KINDS = 1000

_NO_FLOOR = -1


def checked_kinds(kinds: Collection[str]) -> list[str]:
    """Return kinds of frames in one order.

    Raises:
        InvalidValueError: One is no text, or there are more than any database takes at once.
    """
    chosen = sorted({check_text(kind, "a kind") for kind in check_values(kinds, "kinds")})
    if len(chosen) > MAX_KINDS:
        raise InvalidValueError(f"a reader chooses up to {MAX_KINDS} kinds")
    return chosen


async def locate(unit: Unit, ref: ConversationRef, tenant_id: UUID | None) -> tuple[UUID, UUID]:
    """Return the conversation that is meant, and its tenant.

    Where both are known already, whether there is one is left to what is read of it.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    tenant = unit.scope.filter(tenant_id)
    if tenant is not None and isinstance(ref, UUID):
        return ref, tenant
    conversation = await require_by_ref(unit, ref, tenant_id)
    if tenant is None:
        query = select(conversations.c.tenant_id).where(conversations.c.id == conversation)
        tenant = (await unit.execute(query)).scalar_one()
    return conversation, tenant


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader stands.

    Attributes:
        row: The last row that it has seen, 0 for none.
        floor: The last event id of its stream that it has seen without a row: it was ahead of the
            ledger. -1 for none.
    """

    row: int = 0
    floor: int = _NO_FLOOR


@dataclass(frozen=True, slots=True)
class Reading:
    """Which frames of a conversation are read, and what binds its cursors to that."""

    conversation: UUID
    tenant: UUID
    filters: Mapping[str, Any]
    seal: str

    @classmethod
    def of(
        cls,
        place: tuple[UUID, UUID],
        *,
        workflow_run_id: str | None = None,
        stream_id: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> Reading:
        """Choose frames of the conversation and tenant of *place*."""
        chosen: dict[str, Any] = {"workflow_run_id": workflow_run_id, "stream_id": stream_id}
        if kinds is not None:
            chosen["kinds"] = checked_kinds(kinds)
        filters = {name: value for name, value in chosen.items() if value is not None}
        return cls(*place, filters, fingerprint((), "replay", place[0], sorted(filters.items())))

    async def require(self, unit: Unit) -> None:
        """Refuse a conversation that the unit may not read.

        Raises:
            NotFoundError: There is none, or it is another tenant's.
        """
        await require_by_ref(unit, self.conversation, self.tenant)

    def decode(self, cursor: str | None) -> Position:
        """Return the position of a cursor of this reading; None is its beginning.

        Raises:
            InvalidCursorError: The cursor is damaged or of another reading.
        """
        if cursor is None:
            return Position()
        return Position(*decode_cursor(self.seal, cursor, [int, int]))

    def encode(self, position: Position) -> str:
        """Return the cursor of a position."""
        return encode_cursor(self.seal, [position.row, position.floor])

    async def page(self, unit: Unit, position: Position, limit: int) -> LedgerPage:
        """Read on: the frame at the position comes first and proves that it still stands.

        Raises:
            NotFoundError: There is no such conversation, and the reading begins.
            ResyncRequiredError: It was truncated away or purged, with its conversation perhaps.
            InvalidValueError: The limit is none.
        """
        check_limit(limit, MAX_REPLAY)
        frames = await self._read(unit, position, limit + 2)
        if not frames and not position.row:
            await self.require(unit)
        if position.row:
            if not frames or frames[0].id != position.row:
                raise ResyncRequiredError("the position of the reader is no longer in the ledger")
            frames = frames[1:]
        items = tuple(frames[:limit])
        last = items[-1].id if items else position.row
        cursor = self.encode(Position(last, position.floor))
        return LedgerPage(items, cursor, more=len(frames) > limit)

    async def at(self, unit: Unit, position: Position) -> LedgerFrame | None:
        """Return the frame at a position, None where none is, any more or yet."""
        if not position.row:
            return None
        found = await self._read(unit, position, 1)
        return found[0] if found and found[0].id == position.row else None

    async def _read(self, unit: Unit, position: Position, limit: int) -> list[LedgerFrame]:
        chosen = dict(self.filters)
        if position.floor != _NO_FLOOR:
            chosen["floor"] = position.floor
        place = {"conversation": self.conversation, "tenant": self.tenant}
        statement = replay(frozenset(chosen), postgresql=unit.is_postgresql)
        parameters = {**place, **chosen, "after": position.row, "limit": limit}
        if "kinds" in chosen:  # as many parameters as there are kinds
            found: Any = (await unit.execute(statement, parameters)).all()
        else:
            (found,) = await unit.send((statement, parameters))
        return list(map(LedgerFrame._make, found))

    async def after_event(self, unit: Unit, event_id: int) -> Position:
        """Return the position of a client that has seen the stream up to *event_id*, 0 for none.

        Raises:
            NotFoundError: There is no such conversation; where nothing says so, its page will.
            ResyncRequiredError: The frame was truncated away or purged, or never recorded although
                later ones are.
            InvalidValueError: The event id is none.
        """
        check_event_id(event_id)
        parameters = {
            "conversation": self.conversation,
            "stream": self.filters["stream_id"],
            "event": event_id,
        }
        (((position, newest),),) = await unit.send((find_frame(), parameters))
        if position is not None:
            return Position(position)
        if event_id == 0:
            return Position()
        if newest is None or event_id > newest:
            return Position(floor=event_id)
        await self.require(unit)
        raise ResyncRequiredError("the position of the client is no longer in the ledger")
