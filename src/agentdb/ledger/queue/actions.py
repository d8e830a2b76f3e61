"""What the verbs of the queue have in common: how a statement runs, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from sqlalchemy import Executable, Row

from agentdb.batch import send_in_turn
from agentdb.direct import Row as Values
from agentdb.errors import LeaseLostError, NotFoundError
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.queue.hints import hint_ready
from agentdb.ledger.queue.rows import QueueItem, stored_item
from agentdb.ledger.queue.statements import (
    find_item,
    lock_conversation_of,
    promote_after,
    promote_in,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.types import utc_now
from agentdb.unit import Unit

T = TypeVar("T")

NO_ITEM = "no such row of conversation_run_queue_items"


class QueueAction:
    """A verb at work.

    Attributes:
        unit: Its unit.
        tenant: Whose items it may touch; None for all, in a system unit.
        confined: Whether there is a tenant.
        postgresql: Which database it is.
    """

    def __init__(self, unit: Unit, tenant: UUID | None, now: datetime | None = None) -> None:
        """Take note of the clock too: None for that of the unit."""
        self.unit = unit
        self.tenant = tenant
        self.confined = tenant is not None
        self.postgresql = unit.is_postgresql
        self._now = now

    def moment(self) -> datetime:
        """Return the instant by the clock of this process, which is SQLite's."""
        return self.unit.frozen(self._now) or utc_now()

    async def rows(self, statement: Executable, **parameters: Any) -> Sequence[Row[Any]]:
        """Run a statement that is too rare, or names too many rows, for `send`; return its rows."""
        return (await self.unit.execute(statement, self._given(parameters))).all()

    async def send(
        self, *statements: Executable, last: int | None = None, **parameters: Any
    ) -> list[list[Values]]:
        """Run statements on the same parameters in one round trip, and return the rows of each.

        For *last* see `Unit.send`.
        """
        given = self._given(parameters)
        return await self.unit.send(*[(statement, given) for statement in statements], last=last)

    def _given(self, parameters: dict[str, Any]) -> dict[str, Any]:
        now = self.unit.frozen(self._now) if self.postgresql else self.moment()
        return {"tenant": self.tenant, "now": now, **parameters}

    async def write(
        self, statement: Executable, *, last: bool = False, **parameters: Any
    ) -> list[QueueItem]:
        """Run a statement that returns whole items; entities of the unit are brought up to date.

        With *last*, what it returns tells that nothing has to follow it; see `Unit.send`.
        """
        (rows,) = await self.send(statement, last=0 if last else None, **parameters)
        await self.refresh(row[0] for row in rows)
        return [stored_item(row) for row in rows]

    async def refresh(self, ids: Iterable[int]) -> None:
        """Bring entities up to date that the unit has loaded."""
        for key in ids:
            await self.unit.refresh(ConversationRunQueueItem, key)

    async def lock_conversation(self, item: int) -> UUID | None:
        """Lock the conversation of an item until the unit ends; None if there is no such item."""
        (rows,) = await self.send(lock_conversation_of(confined=self.confined), item=item)
        return rows[0][0] if rows else None

    async def require_conversation(self, item: int) -> UUID:
        """Lock the conversation of an item.

        Raises:
            NotFoundError: There is no such item.
        """
        conversation = await self.lock_conversation(item)
        if conversation is None:
            raise NotFoundError(NO_ITEM)
        return conversation

    async def find(self, item: int) -> QueueItem | None:
        """Read an item."""
        (rows,) = await self.send(find_item(confined=self.confined), item=item)
        return stored_item(rows[0]) if rows else None

    async def move(
        self, item: int, statement: Executable, **parameters: Any
    ) -> list[Values] | None:
        """Lock the conversation of an item, change the item, and promote where that left no head.

        One round trip: each statement sees what was committed before the lock was had.

        Returns:
            The rows of the statement; None if there is no such item.
        """
        which = {"confined": self.confined}
        statements = lock_conversation_of(**which), statement, promote_after(**which)
        locked, moved, promoted = await self.send(*statements, last=1, item=item, **parameters)
        await self._note(moved, promoted)
        return moved if locked else None

    async def move_in(self, conversation: UUID, statement: Executable, **parameters: Any) -> int:
        """Change items of a locked conversation, promote as `move` does, and count the changed."""
        given: dict[str, Any] = {"conversation": conversation, **parameters}
        moved, promoted = await self.send(statement, promote_in(), **given)
        await self._note(moved, promoted)
        return len(moved)

    async def _note(self, moved: list[Values], promoted: list[Values]) -> None:
        await self.refresh(row[0] for row in (*moved, *promoted))
        if promoted:
            hint_ready(self.unit)

    async def promote(self, *conversations: UUID) -> list[int]:
        """Give locked conversations a head that have none and need one."""
        given = self._given({})
        calls = [(promote_in(), {**given, "conversation": one}) for one in conversations]
        promoted = list(chain.from_iterable(await send_in_turn(self.unit, calls)))
        await self._note([], promoted)
        return [row[0] for row in promoted]

    async def lost(self, item: int, attempt: int) -> NoReturn:
        """Tell why the attempt holds the item no longer.

        Raises:
            LeaseLostError: Always.
        """
        reason = _reason(await self.find(item), attempt)
        raise LeaseLostError(f"the claim of the run has ended: {reason}", reason=reason)


def portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values in parts that a statement can name: both databases limit its parameters."""
    for start in range(0, len(values), KEYS_PER_STATEMENT):
        yield values[start : start + KEYS_PER_STATEMENT]


def _reason(item: QueueItem | None, attempt: int) -> str:
    if item is None:
        return "missing"
    if item.status == QueueItemStatus.CANCELLED:
        return "cancelled"
    over = item.status in {QueueItemStatus.COMPLETED, QueueItemStatus.FAILED}
    return "finished" if over and item.attempt == attempt else "reclaimed"
