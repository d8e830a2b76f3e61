"""What the verbs of the queue have in common: how a statement runs, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from sqlalchemy import Executable, Row

from agentdb.errors import LeaseLostError, NotFoundError
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.queue.hints import hint_ready
from agentdb.ledger.queue.rows import QueueItem, queue_item
from agentdb.ledger.queue.statements import find_item, lock_conversation_of, promote
from agentdb.ledger.values import QueueItemStatus
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.types import utc_now
from agentdb.unit import Unit

T = TypeVar("T")

_NO_ITEM = "no such row of conversation_run_queue_items"


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
        """Run a statement, and return its rows."""
        now = self.unit.frozen(self._now) if self.postgresql else self.moment()
        given = {"tenant": self.tenant, "now": now, **parameters}
        return (await self.unit.execute(statement, given)).all()

    async def write(self, statement: Executable, **parameters: Any) -> list[QueueItem]:
        """Run a statement that returns whole items; entities of the unit are brought up to date."""
        rows = await self.rows(statement, **parameters)
        await self.refresh(row.id for row in rows)
        return [queue_item(row) for row in rows]

    async def write_ids(self, statement: Executable, **parameters: Any) -> list[int]:
        """Run a statement that returns ids."""
        ids = [row.id for row in await self.rows(statement, **parameters)]
        await self.refresh(ids)
        return ids

    async def refresh(self, ids: Iterable[int]) -> None:
        """Bring entities up to date that the unit has loaded."""
        for key in ids:
            await self.unit.refresh(ConversationRunQueueItem, key)

    async def lock_conversation(self, item: int) -> UUID | None:
        """Lock the conversation of an item until the unit ends; None if there is no such item."""
        rows = await self.rows(lock_conversation_of(confined=self.confined), item=item)
        return rows[0].conversation_id if rows else None

    async def require_conversation(self, item: int) -> UUID:
        """Lock the conversation of an item.

        Raises:
            NotFoundError: There is no such item.
        """
        conversation = await self.lock_conversation(item)
        if conversation is None:
            raise NotFoundError(_NO_ITEM)
        return conversation

    async def find(self, item: int) -> QueueItem | None:
        """Read an item."""
        rows = await self.rows(find_item(confined=self.confined), item=item)
        return queue_item(rows[0]) if rows else None

    async def promote(self, *conversations: UUID) -> list[int]:
        """Give locked conversations a head that have none and need one."""
        ids = await self.write_ids(promote(), conversations=conversations)
        if ids:
            hint_ready(self.unit)
        return ids

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
