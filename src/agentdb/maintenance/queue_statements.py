"""The statements of the maintenance of the queue."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
    tuple_,
)

from agentdb.conversations.statements import Query
from agentdb.ledger.queue.leases import lapsed
from agentdb.ledger.queue.statements import (
    HEADS,
    LIMIT,
    MAX_ATTEMPTS,
    chosen,
    is_,
    items,
    own,
)
from agentdb.ledger.values import QueueItemStatus
from agentdb.types import RowId, UTCDateTime, Uuid

_FINISHED = (QueueItemStatus.COMPLETED, QueueItemStatus.FAILED, QueueItemStatus.CANCELLED)


@cache
def lapsed_items(*, confined: bool, postgresql: bool, begun: bool, started: bool) -> Query:
    """Find leases that have ended, the oldest first.

    Args:
        confined: Whether a tenant is named.
        postgresql: Which database it is for.
        begun: Whether they have a beginning; those of other origin that have none last from the
            creation of the item.
        started: Whether a position is given to go on from.
    """
    since = items.c.started_at if begun else items.c.created_at
    columns = [items.c[name] for name in ("id", "conversation_id", "attempt_count")]
    query = select(*columns, since.label("since")).where(*lapsed(since, postgresql=postgresql))
    query = query.where(*([] if begun else [items.c.started_at.is_(None)]), *own(confined=confined))
    if started:
        position = tuple_(bindparam("at", type_=UTCDateTime()), bindparam("after", type_=RowId()))
        query = query.where(tuple_(since, items.c.id) > position)
    return query.order_by(since, items.c.id).limit(LIMIT)


@cache
def count_lapsed(*, confined: bool, postgresql: bool, begun: bool, limited: bool) -> Query:
    """Count what would become of them."""
    which = {"confined": confined, "postgresql": postgresql, "begun": begun}
    found: Any = lapsed_items(**which, started=False)
    lease = (found if limited else found.limit(None)).subquery()
    other = items.alias("other")
    waiting = exists(
        select(other.c.id).where(
            other.c.conversation_id == lease.c.conversation_id,
            is_(QueueItemStatus.QUEUED, of=other),
        )
    )
    over = lease.c.attempt_count >= MAX_ATTEMPTS
    return select(
        func.count().label("rows"),
        func.count().filter(~over).label("ready"),
        func.count().filter(over).label("failed"),
        func.count().filter(and_(over, waiting)).label("promoted"),
    ).select_from(lease)


@cache
def headless(*, confined: bool, started: bool) -> Query:
    """Find conversations where runs wait and none is the head."""
    other = items.alias("other")
    head = select(other.c.id).where(
        other.c.conversation_id == items.c.conversation_id, is_(*HEADS, of=other)
    )
    query = select(items.c.conversation_id).where(
        is_(QueueItemStatus.QUEUED), ~exists(head), *own(confined=confined)
    )
    if started:
        query = query.where(items.c.conversation_id > bindparam("behind", type_=Uuid()))
    return query.group_by(items.c.conversation_id).order_by(items.c.conversation_id).limit(LIMIT)


@cache
def count_headless(*, confined: bool, limited: bool) -> Query:
    """Count them."""
    found: Any = headless(confined=confined, started=False)
    return select(func.count().label("rows")).select_from(
        (found if limited else found.limit(None)).subquery()
    )


def _finished(*, confined: bool) -> list[ColumnElement[bool]]:
    ended = func.coalesce(items.c.cancelled_at, items.c.completed_at, items.c.created_at)
    old = ended < bindparam("cutoff", type_=UTCDateTime())
    return [is_(*_FINISHED), old, *own(confined=confined)]


@cache
def purge_finished(*, confined: bool, postgresql: bool) -> Delete:
    """Delete finished items behind an id, in the order of the ids and past locked ones."""
    free = select(items.c.id).where(
        items.c.id > bindparam("after", type_=RowId()), *_finished(confined=confined)
    )
    free = free.order_by(items.c.id).limit(LIMIT).with_for_update(skip_locked=True)
    statement: Any = delete(items).where(chosen(free, postgresql=postgresql))
    purging: Delete = statement.returning(items.c.id)
    return purging


@cache
def count_finished(*, confined: bool, limited: bool) -> Query:
    """Count finished items."""
    found = select(items.c.id).where(*_finished(confined=confined))
    if limited:
        found = found.limit(LIMIT)
    return select(func.count().label("rows")).select_from(found.subquery())
