"""The statements of the hot verbs, built once for each dialect.

They run on bare tables, past the filter of the unit of work, and name the tenant themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Insert,
    Integer,
    ScalarSelect,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.types import TypeEngine

from agentdb.batch import ORDINAL, batch_rows
from agentdb.conversations.models import AgentConversation, AgentMessage
from agentdb.ledger.models import ConversationLedgerEvent, ConversationLedgerSegment
from agentdb.sqlite_functions import MOVED
from agentdb.types import String, UTCDateTime, Uuid
from agentdb.unit import TICK

conversations: Any = AgentConversation.__table__
messages: Any = AgentMessage.__table__
segments: Any = ConversationLedgerSegment.__table__
events: Any = ConversationLedgerEvent.__table__

CONVERSATION = bindparam("conversation", type_=Uuid())
TENANT = bindparam("tenant", type_=Uuid())
KEY = bindparam("key", type_=String())
Query: TypeAlias = Select[*tuple[Any, ...]]

ONE: ColumnElement[int] = literal_column("1")
"""A limit that the plan of a prepared statement knows, unlike a parameter."""

_FIRST_ROW: ColumnElement[int] = literal_column("0")
_LAST_ROW: ColumnElement[int] = literal_column(str(2**63 - 1))

NOW = bindparam("now", type_=UTCDateTime())
SIZE = bindparam("size", type_=Integer())

TOUCH_EVERY = timedelta(seconds=5)
"""How long ``updated_at`` of a conversation may lag behind a burst of appends."""

_TOUCH_EVERY = text("interval '5 seconds'")
_TICK = text("interval '1 microsecond'")

GIVEN = (
    "role",
    "agent_type",
    "content",
    "attachments",
    "tool_name",
    "tool_call_id",
    "token_count_prompt",
    "token_count_completion",
    "reasoning_tokens",
    "latency_ms",
    "content_checksum",
    "run_id",
)
"""Columns of a message that its author supplies."""

STORED = ("id", "segment_id", "position", "created_at")
"""Columns of a message that its append makes."""

RETURNED = ("id", "conversation_id", "segment_id", "position", *GIVEN, "created_at")


@cache
def lock_conversation() -> Query:
    """Lock a conversation by id; a statement of its own.

    What is decided under the lock is read by later statements: their snapshots are younger than the
    lock, that of the statement that waited for it is not.
    """
    query = select(conversations.c.id).where(
        conversations.c.id == CONVERSATION, conversations.c.tenant_id == TENANT
    )
    return query.with_for_update(key_share=True)


@cache
def lock_conversation_by_key() -> Query:
    """Lock a conversation by its stored key."""
    query = select(conversations.c.id).where(
        conversations.c.conversation_key == KEY, conversations.c.tenant_id == TENANT
    )
    return query.with_for_update(key_share=True)


@cache
def find_conversation(*, by_key: bool, confined: bool) -> Query:
    """Find a conversation by its stored key or its id, of one tenant or of any."""
    named = (
        conversations.c.conversation_key == KEY if by_key else conversations.c.id == CONVERSATION
    )
    mine = [conversations.c.tenant_id == TENANT] if confined else []
    return select(conversations.c.id).where(named, *mine)


def newest_message(conversation: Any = CONVERSATION) -> ScalarSelect[Any]:
    """Return the stamp of the conversation's last message."""
    mine = select(messages.c.created_at).where(messages.c.conversation_id == conversation)
    return mine.order_by(messages.c.position.desc()).limit(ONE).scalar_subquery()


def newest_frame() -> ScalarSelect[Any]:
    """Return the stamp of the conversation's last frame, on PostgreSQL.

    It is the end of a range of the index. Where two equalities fix the conversation, the order is
    that of the primary key as well, and where there are few conversations a plan for any of them
    walks that key through the frames of all.
    """
    place = events.c.tenant_id, events.c.conversation_id, events.c.id
    mine = select(events.c.ingested_at).where(
        tuple_(*place) >= tuple_(TENANT, CONVERSATION, _FIRST_ROW),
        tuple_(*place) <= tuple_(TENANT, CONVERSATION, _LAST_ROW),
    )
    last = mine.order_by(*(column.desc() for column in place)).limit(ONE)
    return last.scalar_subquery()


def _of_last_frame(column: Column[Any], conversation: Any) -> ScalarSelect[Any]:
    mine = select(column).where(
        events.c.tenant_id == TENANT, events.c.conversation_id == conversation
    )
    return mine.order_by(events.c.id.desc()).limit(ONE).scalar_subquery()


def stamp() -> ColumnElement[Any]:
    """Return the stamp of an append on PostgreSQL: the clock, or just after the newest one.

    Clocks of two hosts differ; stamps of one conversation follow the order of its appends.
    """
    clock = func.coalesce(NOW, func.clock_timestamp(type_=UTCDateTime()), type_=UTCDateTime())
    return func.greatest(
        clock, newest_message() + _TICK, newest_frame() + _TICK, type_=UTCDateTime()
    )


@cache
def append_messages() -> Insert:
    """Append a batch on PostgreSQL: count, stamp and insert in one statement.

    It inserts nothing, and counts nothing, where the tenant's conversation has no active segment.
    """
    batch = batch_rows(messages, [*GIVEN, "created_at"])
    active = select(
        segments.c.conversation_id, segments.c.id.label("segment_id"), stamp().label("at")
    ).where(
        segments.c.conversation_id == CONVERSATION,
        segments.c.tenant_id == TENANT,
        segments.c.truncated_at.is_(None),
    )
    counted = _count_messages(active.cte("active")).cte("counted")
    rows = select(
        CONVERSATION,
        counted.c.segment_id,
        counted.c.first + batch.c[ORDINAL],
        *(batch.c[name] for name in GIVEN),
        func.coalesce(batch.c.created_at, counted.c.at),
    ).select_from(counted.join(batch, true()))
    names = ["conversation_id", "segment_id", "position", *GIVEN, "created_at"]
    inserted: Any = insert(messages).from_select(
        names, rows.order_by(batch.c[ORDINAL]), include_defaults=False
    )
    return _returning(inserted)


@cache
def append_count_embedded(*, by_key: bool) -> Update:
    """Count and stamp a batch on SQLite, under its write lock, before its messages are inserted.

    It counts nothing where the tenant's conversation has no active segment.

    Args:
        by_key: Whether it is named by its stored key, not by its id.
    """
    mine = conversations.c.id
    active = (
        select(mine.label("conversation_id"), _stamp_embedded(mine).label("at"))
        .join(segments, _is_active(mine))
        .where(*_named(by_key=by_key))
    )
    counted = _counted(active.subquery("active"), lambda at: _moved(at, -TOUCH_EVERY))
    update_of: Update = counted.returning(mine)
    return update_of


@cache
def append_message_embedded(*, names: tuple[str, ...], by_key: bool) -> Insert:
    """Insert a message of a batch that was just counted, on SQLite.

    Args:
        names: The columns that are given; each value is as it is stored.
        by_key: As of `append_count_embedded`.
    """
    at = func.coalesce(stored("created_at"), conversations.c.last_message_at)
    row = (
        select(
            conversations.c.id,
            segments.c.id,
            conversations.c.message_count - bindparam("behind", type_=Integer()),
            *map(stored, names),
            at,
        )
        .join_from(conversations, segments, _is_active(conversations.c.id))
        .where(*_named(by_key=by_key))
    )
    columns = ["conversation_id", "segment_id", "position", *names, "created_at"]
    return _returning(insert(messages).from_select(columns, row, include_defaults=False))


def _named(*, by_key: bool) -> list[ColumnElement[bool]]:
    named = (
        conversations.c.conversation_key == KEY if by_key else conversations.c.id == CONVERSATION
    )
    return [named, conversations.c.tenant_id == TENANT]


def _is_active(conversation: Any) -> ColumnElement[bool]:
    return and_(segments.c.conversation_id == conversation, segments.c.truncated_at.is_(None))


def _stamp_embedded(conversation: Any) -> ColumnElement[Any]:
    """Return `stamp` on SQLite, whose ``max`` is NULL where anything is."""
    newest = newest_message(conversation), _of_last_frame(events.c.ingested_at, conversation)
    after = [func.coalesce(_moved(found, TICK), NOW) for found in newest]
    return func.max(NOW, *after, type_=UTCDateTime())


def _moved(instant: Any, by: timedelta) -> ColumnElement[Any]:
    microseconds: ColumnElement[int] = literal_column(str(by // timedelta(microseconds=1)))
    moved: ColumnElement[Any] = getattr(func, MOVED)(instant, microseconds, type_=UTCDateTime())
    return moved


def _returning(inserted: Any) -> Insert:
    """Return what an append does not know of its messages."""
    statement: Insert = inserted.returning(*(messages.c[name] for name in STORED))
    return statement


def _count_messages(active: Any) -> Update:
    counted = _counted(active, lambda at: at - _TOUCH_EVERY)
    first: ColumnElement[int] = conversations.c.message_count - SIZE
    returned: Update = counted.returning(first.label("first"), active.c.segment_id, active.c.at)
    return returned


def _counted(active: Any, long_before: Callable[[Any], Any]) -> Any:
    touched = case(
        # The index on updated_at makes each change of it a write to all indexes of the row
        # (https://www.postgresql.org/docs/current/storage-hot.html): a burst of appends lags.
        (conversations.c.updated_at < long_before(active.c.at), active.c.at),
        else_=conversations.c.updated_at,
    )
    counted: Any = update(conversations).where(conversations.c.id == active.c.conversation_id)
    return counted.values(
        message_count=conversations.c.message_count + SIZE,
        last_message_at=active.c.at,
        updated_at=touched,
    )


@cache
def append_state(*, by_key: bool) -> Query:
    """Read on SQLite, under its write lock, what an append of frames needs to know.

    Args:
        by_key: Whether it is named by its stored key, not by its id.
    """
    mine = conversations.c.id
    active = select(segments.c.id).where(_is_active(mine))
    return select(
        mine,
        active.scalar_subquery(),
        newest_message(mine),
        _of_last_frame(events.c.ingested_at, mine),
        _of_last_frame(events.c.id, mine),
    ).where(*_named(by_key=by_key))


def stored(name: str) -> BindParameter[Any]:
    """Return a parameter whose value is already what the database stores."""
    return bindparam(name, type_=_Stored())


class _Stored(TypeEngine[Any]):
    """Leaves a value as it is; in an INSERT, a parameter without a type takes its column's."""


@cache
def transcript(*, confined: bool, visible_only: bool, descending: bool, started: bool) -> Query:
    """Read messages in the order of their positions.

    Args:
        confined: Whether the unit belongs to a tenant.
        visible_only: Leave out what a truncation hid.
        descending: Newest first.
        started: Whether a position is given to read on from.
    """
    query = (
        select(*(messages.c[name] for name in RETURNED))
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .join(segments, segments.c.id == messages.c.segment_id)
        .where(messages.c.conversation_id == CONVERSATION)
        .limit(bindparam("limit", type_=Integer()))
    )
    position, after = messages.c.position, bindparam("after", type_=BigInteger())
    conditions = [
        *([conversations.c.tenant_id == TENANT] if confined else []),
        *([visible_message()] if visible_only else []),
        *([position < after if descending else position > after] if started else []),
    ]
    order = position.desc() if descending else position.asc()
    return query.where(*conditions).order_by(order)


def visible_message(among: Any = messages) -> ColumnElement[bool]:
    """Return the condition that a message is not hidden by a truncation of its segment."""
    return or_(
        segments.c.truncated_at.is_(None),
        among.c.position <= segments.c.visible_through_message_position,
    )
