"""The statements of the queue, built once for each dialect.

They run on bare tables, past the filter of the unit of work, and name the tenant themselves. States
are written into the SQL: of a parameter the database cannot know that a partial index serves it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Update,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from agentdb.conversations.statements import (
    CONVERSATION,
    NOW,
    TENANT,
    Query,
    conversations,
    segments,
)
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.values import QueueItemStatus
from agentdb.types import RowId, UTCDateTime, Uuid

items: Any = ConversationRunQueueItem.__table__

ITEM = bindparam("item", type_=RowId())
SEGMENT = bindparam("segment", type_=Uuid())
# Callers choose them: what no column holds is compared too.
ATTEMPT = bindparam("attempt", type_=BigInteger())
LIMIT = bindparam("limit", type_=BigInteger())
MAX_ATTEMPTS = bindparam("max_attempts", type_=BigInteger())
ERROR = bindparam("error", type_=items.c.error_json.type)

HEADS = (QueueItemStatus.READY, QueueItemStatus.RUNNING)
_WAITING = (QueueItemStatus.QUEUED, QueueItemStatus.READY)
_UNFINISHED = (*_WAITING, QueueItemStatus.RUNNING)


def written(status: QueueItemStatus) -> ColumnElement[str]:
    """Return a state as a constant of the SQL."""
    return literal_column(f"'{status}'", items.c.status.type)


def is_(*statuses: QueueItemStatus, of: Any = None) -> ColumnElement[bool]:
    """Return the condition that an item is in one of these states."""
    column: ColumnElement[str] = (items if of is None else of).c.status
    constants = [written(status) for status in statuses]
    return column == constants[0] if len(constants) == 1 else column.in_(constants)


def own(*, confined: bool, of: Any = None) -> list[ColumnElement[bool]]:
    """Return the condition that an item is the tenant's, where the unit or the call names one."""
    return [(items if of is None else of).c.tenant_id == TENANT] if confined else []


def clock(*, postgresql: bool) -> ColumnElement[Any]:
    """Return the instant: that of the server, read when the row is written, unless one is given."""
    if not postgresql:
        return NOW
    return func.coalesce(NOW, func.clock_timestamp(type_=UTCDateTime()), type_=UTCDateTime())


def change(where: list[ColumnElement[bool]], values: dict[str, Any], *returned: Any) -> Update:
    """Return the statement that sets columns of items, and returns theirs; all by default."""
    statement: Any = update(items).where(*where).values(values)
    changing: Update = statement.returning(*(returned or items.c))
    return changing


@cache
def lock_conversation_of(*, confined: bool) -> Query:
    """Lock the conversation of an item; a statement of its own, as `lock_conversation` is."""
    query = select(items.c.conversation_id).join_from(
        items, conversations, conversations.c.id == items.c.conversation_id
    )
    query = query.where(items.c.id == ITEM, *own(confined=confined))
    return query.with_for_update(key_share=True, of=conversations)


@cache
def find_item(*, confined: bool) -> Query:
    """Read an item."""
    return select(*items.c).where(items.c.id == ITEM, *own(confined=confined))


@cache
def hold_item(*, confined: bool) -> Query:
    """Lock an item that the attempt still holds; its conversation is locked before."""
    query = select(*items.c).where(*_held(confined=confined))
    return query.with_for_update(key_share=True)


def _held(*, confined: bool) -> list[ColumnElement[bool]]:
    running = is_(QueueItemStatus.RUNNING)
    return [items.c.id == ITEM, running, items.c.attempt_count == ATTEMPT, *own(confined=confined)]


class QueueState(NamedTuple):
    """What an enqueue needs to know of a conversation.

    Attributes:
        segment: The active segment, if there is one.
        depth: How many items wait.
        has_head: Whether one is ready or running.
        has_queued: Whether one waits behind it.
    """

    segment: UUID | None
    depth: int
    has_head: bool
    has_queued: bool


@cache
def queue_state() -> Query:
    """Read `QueueState` under the lock of the conversation."""
    active = select(segments.c.id).where(
        segments.c.conversation_id == CONVERSATION, segments.c.truncated_at.is_(None)
    )
    mine = items.c.conversation_id == CONVERSATION
    depth = select(func.count()).select_from(items).where(mine, is_(*_WAITING))
    return select(
        active.scalar_subquery().label("segment"),
        depth.scalar_subquery().label("depth"),
        exists(select(items.c.id).where(mine, is_(*HEADS))).label("has_head"),
        exists(select(items.c.id).where(mine, is_(QueueItemStatus.QUEUED))).label("has_queued"),
    )


@cache
def insert_item(*, postgresql: bool) -> Insert:
    """Insert an item."""
    values = {
        "tenant_id": TENANT,
        "conversation_id": CONVERSATION,
        "segment_id": SEGMENT,
        "created_by_user_id": bindparam("user", type_=Uuid()),
        "status": bindparam("status", type_=items.c.status.type),
        "attempt_count": 0,
        "payload_json": bindparam("payload", type_=items.c.payload_json.type),
        "created_at": clock(postgresql=postgresql),
    }
    statement: Any = insert(items).values(values)
    inserted: Insert = statement.returning(*items.c)
    return inserted


@cache
def promote_in() -> Update:
    """Make the oldest waiting item of a locked conversation ready if that lacks a head."""
    return _promote(CONVERSATION)


@cache
def promote_after(*, confined: bool) -> Update:
    """Do so in the conversation of an item."""
    ended = items.alias("ended")
    of_item = select(ended.c.conversation_id).where(ended.c.id == ITEM)
    return _promote(of_item.where(*own(confined=confined, of=ended)).scalar_subquery())


def _promote(conversation: ColumnElement[Any]) -> Update:
    waiting, head = items.alias("waiting"), items.alias("head")
    oldest = select(waiting.c.id).where(
        waiting.c.conversation_id == conversation, is_(QueueItemStatus.QUEUED, of=waiting)
    )
    heads = select(head.c.id).where(head.c.conversation_id == conversation, is_(*HEADS, of=head))
    first = oldest.order_by(waiting.c.id).limit(1).scalar_subquery()
    ready = {"status": QueueItemStatus.READY}
    return change([items.c.id == first, ~exists(heads)], ready, items.c.id)


@cache
def complete_item(*, confined: bool, postgresql: bool) -> Update:
    """Complete an item that the attempt still holds."""
    done = {"status": QueueItemStatus.COMPLETED, "completed_at": clock(postgresql=postgresql)}
    return change(_held(confined=confined), done)


def given_back() -> ColumnElement[str]:
    """Return the state of an item that is tried again: ready, in its place.

    Where an older one has been queued again meanwhile, that one is next, and this one waits.
    """
    older = items.alias("older")
    before = select(older.c.id).where(
        older.c.conversation_id == items.c.conversation_id,
        older.c.id < items.c.id,
        is_(QueueItemStatus.QUEUED, of=older),
    )
    waits = exists(before.correlate(items))
    return case((waits, written(QueueItemStatus.QUEUED)), else_=written(QueueItemStatus.READY))


@cache
def fail_item(*, confined: bool, postgresql: bool) -> Update:
    """Fail an item that the attempt still holds: for good from ``max_attempts`` on."""
    again = items.c.attempt_count < MAX_ATTEMPTS
    at = clock(postgresql=postgresql)
    values = {
        "status": case((again, given_back()), else_=written(QueueItemStatus.FAILED)),
        "completed_at": case((again, None), else_=at),
        "error_json": ERROR,
    }
    return change(_held(confined=confined), values)


@cache
def cancel_item(*, confined: bool, postgresql: bool) -> Update:
    """Cancel an item unless it has ended."""
    where = [items.c.id == ITEM, is_(*_UNFINISHED), *own(confined=confined)]
    return _cancel(where, postgresql=postgresql)


@cache
def cancel_in(*, running: bool, postgresql: bool) -> Update:
    """Cancel what runs in a locked conversation, or what waits there."""
    states = (QueueItemStatus.RUNNING,) if running else _WAITING
    return _cancel([items.c.conversation_id == CONVERSATION, is_(*states)], postgresql=postgresql)


def _cancel(where: list[ColumnElement[bool]], *, postgresql: bool) -> Update:
    at = clock(postgresql=postgresql)
    return change(where, {"status": QueueItemStatus.CANCELLED, "cancelled_at": at}, items.c.id)


@cache
def step_back() -> Update:
    """Let a ready item wait again behind an older one; a worker may claim it first."""
    younger = [items.c.conversation_id == CONVERSATION, items.c.id > ITEM]
    waiting = {"status": QueueItemStatus.QUEUED}
    return change([*younger, is_(QueueItemStatus.READY)], waiting, items.c.id)


@cache
def requeue_item(*, confined: bool) -> Update:
    """Let an item wait again, in another segment, that has failed or was cancelled."""
    over = is_(QueueItemStatus.FAILED, QueueItemStatus.CANCELLED)
    waiting: dict[str, Any] = {"status": QueueItemStatus.QUEUED, "segment_id": SEGMENT}
    waiting |= {"completed_at": None, "cancelled_at": None}
    return change([items.c.id == ITEM, over, *own(confined=confined)], waiting)


@cache
def place_of(*, confined: bool) -> Query:
    """Count what comes before an item: what runs, and the older ones that wait."""
    before = items.alias("before")
    waits = and_(is_(*_WAITING, of=before), before.c.id < items.c.id)
    counted = select(func.count()).where(
        before.c.conversation_id == items.c.conversation_id,
        or_(is_(QueueItemStatus.RUNNING, of=before), waits),
    )
    ahead = case((is_(*_WAITING), counted.correlate(items).scalar_subquery()), else_=0)
    return select(ahead.label("place")).where(items.c.id == ITEM, *own(confined=confined))


@cache
def renew_lease(*, confined: bool, postgresql: bool) -> Update:
    """Renew the lease of an item that the attempt still holds, unless its row is locked."""
    free = select(items.c.id).where(*_held(confined=confined))
    free = free.with_for_update(key_share=True, skip_locked=True)
    alive = {"started_at": clock(postgresql=postgresql)}
    return change([chosen(free, postgresql=postgresql)], alive)


def chosen(free: Select[Any], *, postgresql: bool) -> ColumnElement[bool]:
    """Return the condition that a row is one of *free*.

    On PostgreSQL an array is made of them before: a subquery that locks and skips might run anew
    for each row, and find others each time.
    """
    among: ColumnElement[bool] = items.c.id.in_(free)
    ids = func.array(free.scalar_subquery())
    return items.c.id == any_(ids) if postgresql else among
