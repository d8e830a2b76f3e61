"""The statements about leases: claiming what is ready, and what became of those who had claimed."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Interval, Update, bindparam, case, exists, func, select

from agentdb.conversations.statements import Query, conversations
from agentdb.ledger.queue.statements import (
    ERROR,
    LIMIT,
    MAX_ATTEMPTS,
    change,
    chosen,
    clock,
    given_back,
    is_,
    items,
    own,
    written,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.types import RowId, UTCDateTime, Uuid


def lapsed(since: Any = None, *, postgresql: bool, of: Any = items) -> list[ColumnElement[bool]]:
    """Return the conditions of a lease that has ended; it began at *since*, or ``started_at``.

    The server's clock stands in a query of its own: a function that changes within a statement
    cannot be compared with an index.
    """
    end: Any = bindparam("cutoff", type_=UTCDateTime())
    if postgresql:
        at = clock(postgresql=True) - bindparam("lease", type_=Interval())
        end = select(at).scalar_subquery()
    began: Any = of.c.started_at if since is None else since
    return [is_(QueueItemStatus.RUNNING, of=of), began <= end]


class Lapsed(NamedTuple):
    """A row of `find_lapsed`."""

    id: int
    conversation_id: UUID
    attempt_count: int


@cache
def find_lapsed(*, confined: bool, postgresql: bool) -> Query:
    """Find leases that have ended, the oldest first; nothing is locked."""
    query = select(items.c.id, items.c.conversation_id, items.c.attempt_count)
    query = query.where(*lapsed(postgresql=postgresql), *own(confined=confined))
    return query.order_by(items.c.started_at, items.c.id).limit(LIMIT)


@cache
def claim_lapsed(*, confined: bool, postgresql: bool) -> Update:
    """Take over items whose lease has ended, the oldest first, past locked ones."""
    again = items.c.attempt_count < MAX_ATTEMPTS
    free = select(items.c.id).where(*lapsed(postgresql=postgresql), again, *own(confined=confined))
    return _claim(free.order_by(items.c.started_at, items.c.id), postgresql=postgresql)


@cache
def claim_ready(*, confined: bool, postgresql: bool, unless_lapsed: bool = False) -> Update:
    """Claim ready items, the oldest first, past locked ones.

    With *unless_lapsed* it claims none while there are leases that have ended: they come first.
    """
    free = select(items.c.id).where(is_(QueueItemStatus.READY), *own(confined=confined))
    if unless_lapsed:
        held = items.alias("held")
        first = select(held.c.id).where(*lapsed(postgresql=postgresql, of=held))
        free = free.where(~exists(first.where(*own(confined=confined, of=held))))
    return _claim(free.order_by(items.c.id), postgresql=postgresql)


def _claim(free: Any, *, postgresql: bool) -> Update:
    free = free.limit(LIMIT).with_for_update(key_share=True, skip_locked=True)
    values = {
        "status": QueueItemStatus.RUNNING,
        "started_at": clock(postgresql=postgresql),
        "attempt_count": items.c.attempt_count + 1,
    }
    return change([chosen(free, postgresql=postgresql)], values)


@cache
def lock_free_conversations() -> Query:
    """Lock those of some conversations that nobody else has locked, in the order of their ids."""
    among = bindparam("conversations", type_=Uuid(), expanding=True)
    query = select(conversations.c.id).where(conversations.c.id.in_(among))
    return query.order_by(conversations.c.id).with_for_update(key_share=True, skip_locked=True)


@cache
def end_lapsed(*, postgresql: bool) -> Update:
    """End leases that have ended, in locked conversations, past locked items.

    The item fails from ``max_attempts`` on; before, it is given back. The lease of a row of other
    origin that was never begun lasts from its creation.
    """
    free = select(items.c.id).where(
        items.c.id.in_(bindparam("items", type_=RowId(), expanding=True)),
        items.c.conversation_id.in_(bindparam("conversations", type_=Uuid(), expanding=True)),
        *lapsed(func.coalesce(items.c.started_at, items.c.created_at), postgresql=postgresql),
    )
    free = free.order_by(items.c.id).with_for_update(key_share=True, skip_locked=True)
    again = items.c.attempt_count < MAX_ATTEMPTS
    values = {
        "status": case((again, given_back()), else_=written(QueueItemStatus.FAILED)),
        "completed_at": case((again, None), else_=clock(postgresql=postgresql)),
        "error_json": case((again, items.c.error_json), else_=ERROR),
    }
    returned = [items.c.id, items.c.conversation_id, items.c.status]
    return change([chosen(free, postgresql=postgresql)], values, *returned)
