"""Finding conversations by the words of their messages.

PostgreSQL answers from its text index, with English stemming, the best hits first. SQLite has no
such index in this schema: it reads the visible messages of the tenant's conversations, those
written last first, and calls into this process for each, until a page is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    ScalarSelect,
    SelectBase,
    Subquery,
    and_,
    any_,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.types import NullType

from agentdb.conversations.statements import (
    TENANT,
    Query,
    conversations,
    messages,
    segments,
    visible_message,
)
from agentdb.conversations.texts import has_text, text_of
from agentdb.direct import Row
from agentdb.errors import ValueTooLongError
from agentdb.paging import decode_cursor, encode_cursor, fingerprint
from agentdb.sqlite_functions import MATCHES, words_of
from agentdb.types import String, UTCDateTime, Uuid
from agentdb.unit import Unit

MAX_QUERY = 500
"""Characters of a query."""

MAX_HITS = 1000
"""How many of the best hits the pages of a search on PostgreSQL lead through."""

_FEW = 500
"""Up to this many conversations, those of a tenant go into an array."""

_SHORT = 100_000
"""Up to this many messages in them: all their places in the table are collected."""

_HIT = 4
"""Columns that tell of a hit; those of its conversation follow."""

_QUERY = bindparam("query", type_=String())
_LIMIT = bindparam("limit", type_=Integer())
_DOUBLE: Double[float] = Double()
_ENGLISH: ColumnElement[str] = literal_column("'english'")


class Found(NamedTuple):
    """A conversation, and its best message.

    Attributes:
        id: That of the conversation.
        updated_at: When it was last written, about.
        message_id: The message.
        score: How well it fits.
        row: All columns of the conversation.
    """

    id: UUID
    updated_at: datetime
    message_id: int
    score: float
    row: Row


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where.

    Attributes:
        query: Words, all of which a message has.
        tenant: The tenant; None for all of them.
        agent_entrypoint: Of the conversations that this agent opened; None for all.
        user_id: Of this user's conversations; None for all.
    """

    query: str
    tenant: UUID | None
    agent_entrypoint: str | None
    user_id: UUID | None

    def check(self) -> None:
        """Refuse a query that is too long or no text that can be stored.

        Raises:
            InvalidValueError: It is.
        """
        String().check(self.query)
        if len(self.query) > MAX_QUERY:
            message = f"a query has at most {MAX_QUERY} characters"
            raise ValueTooLongError(message, limit=MAX_QUERY)

    async def page(
        self, unit: Unit, after: str | None, limit: int
    ) -> tuple[list[Found], str | None]:
        """Return the hits of a page, and the cursor of the next one.

        Raises:
            InvalidCursorError: The cursor is damaged or of another search.
        """
        filters = (self.query, self.tenant, self.agent_entrypoint, self.user_id)
        seal = fingerprint((), "search", *filters)
        place = None if after is None else decode_cursor(seal, after, [float, datetime, UUID])
        hits = await self._read(unit, place, limit + 1)
        if len(hits) <= limit:
            return hits, None
        last = hits[limit - 1]
        return hits[:limit], encode_cursor(seal, [last.score, last.updated_at, last.id])

    async def _read(self, unit: Unit, after: Sequence[Any] | None, limit: int) -> list[Found]:
        """Return hits behind a position, in their order."""
        if not unit.is_postgresql and not words_of(self.query):
            return []
        given = {"tenant": self.tenant, "agent": self.agent_entrypoint, "user": self.user_id}
        chosen = frozenset(name for name, value in given.items() if value is not None)
        parameters: dict[str, Any] = {name: given[name] for name in chosen}
        build = ranked_hits if unit.is_postgresql else recent_hits
        statement = build(chosen, started=after is not None)
        if after is not None:
            parameters |= dict(zip(("score", "updated", "conversation"), after, strict=True))
        # Texts come composed from keyboards and models; a query may be pasted from elsewhere.
        parameters.update(query=normalize("NFC", self.query), limit=limit)
        calls = [(_plan_anew(), parameters)] if unit.is_postgresql else []
        rows = await unit.send(*calls, (statement, parameters))
        return [Found._make((*row[:_HIT], row[_HIT:])) for row in rows[-1]]


@cache
def _plan_anew() -> Query:
    """Have PostgreSQL plan for the words at hand until the unit ends.

    A plan for any words, which it would keep for a prepared statement, takes the common ones for
    rare, and was seen to take fifty times as long.
    """
    return select(func.set_config("plan_cache_mode", "force_custom_plan", true()))


def _filters(chosen: frozenset[str]) -> list[ColumnElement[bool]]:
    filters: dict[str, ColumnElement[bool]] = {
        "tenant": conversations.c.tenant_id == TENANT,
        "agent": conversations.c.agent_entrypoint == bindparam("agent", type_=String()),
        "user": conversations.c.user_id == bindparam("user", type_=Uuid()),
    }
    return [filters[name] for name in sorted(chosen)]


_POSITION = (
    bindparam("updated", type_=UTCDateTime()),
    bindparam("conversation", type_=Uuid()),
)


@cache
def ranked_hits(chosen: frozenset[str], *, started: bool) -> Query:
    """Find hits on PostgreSQL, by rank and then by the stamp of the conversation.

    Args:
        chosen: Which of ``tenant``, ``agent`` and ``user`` restrict them.
        started: Whether a position is given to read on from.
    """
    best = _best(chosen).subquery("best")
    order = [best.c.score.desc(), best.c.updated_at.desc(), best.c.id.desc()]
    capped = select(best).order_by(*order).limit(MAX_HITS).subquery("capped")
    place = (capped.c.score, capped.c.updated_at, capped.c.id)
    hits = select(capped).order_by(*(column.desc() for column in place)).limit(_LIMIT)
    if started:
        hits = hits.where(tuple_(*place) < tuple_(bindparam("score", type_=_DOUBLE), *_POSITION))
    return _with_rows(hits.subquery("page"))


def _with_rows(page: Subquery) -> Query:
    """Return the hits of a page with their conversations, in order."""
    # The driver makes a float of it, and the type would only know so from the driver's cursor.
    score = type_coerce(page.c.score, NullType()).label("score")
    return (
        select(page.c.id, page.c.updated_at, page.c.message_id, score, *conversations.c)
        .join_from(page, conversations, conversations.c.id == page.c.id)
        .order_by(page.c.score.desc(), page.c.updated_at.desc(), page.c.id.desc())
    )


def _best(chosen: frozenset[str]) -> Query:
    """Return each conversation with its best message."""
    hits = _hits(chosen).subquery("hits")
    return (
        select(hits.c.id, hits.c.updated_at, hits.c.message_id, hits.c.score)
        .ext(distinct_on(hits.c.id))
        .order_by(hits.c.id, hits.c.score.desc(), hits.c.position.desc())
    )


def _hits(chosen: frozenset[str]) -> SelectBase:
    """Find the messages with the words; of a tenant in one of two ways, as its size decides.

    Where the tenant has few conversations, the planner would look each up in the index of words,
    from its beginning: their keys are an array, so that it is looked up once. It cannot tell how
    long the array is, and so would take it for a tenant of any size.
    """
    if "tenant" not in chosen:
        return _matches(chosen)
    few = _has_few_conversations().cte("tenant")
    is_small = select(few.c.is_small).scalar_subquery()
    keys = func.array(select(conversations.c.id).where(*_filters(chosen)).scalar_subquery())
    among = messages.c.conversation_id == any_(keys)
    return union_all(_matches(chosen, is_small, among), _matches(chosen, ~is_small))


def _has_few_conversations() -> Query:
    """Return whether the tenant's conversations are worth an array; few of them are read."""
    some = select(conversations.c.message_count).where(conversations.c.tenant_id == TENANT)
    # An order that an index has: else the table might be read from its start until enough are
    # found, and the tenant's rows may be its last.
    some = some.order_by(conversations.c.updated_at.desc()).limit(literal_column(f"{_FEW + 1}"))
    count = some.subquery("some").c.message_count
    size = func.coalesce(func.sum(count), literal_column("0"))
    few = func.count() <= literal_column(f"{_FEW}")
    return select(and_(few, size <= literal_column(f"{_SHORT}")).label("is_small"))


def _matches(chosen: frozenset[str], *where: ColumnElement[bool]) -> Query:
    """Find the messages with the words, and how well each fits."""
    words = func.plainto_tsquery(_ENGLISH, _QUERY)
    # A rank has single precision: as such it would not equal itself once it was in a cursor.
    score = cast(func.ts_rank(messages.c.text_tsv, words), _DOUBLE)
    return (
        select(
            conversations.c.id,
            conversations.c.updated_at,
            messages.c.id.label("message_id"),
            messages.c.position,
            score.label("score"),
        )
        .select_from(messages)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .join(segments, segments.c.id == messages.c.segment_id)
        .where(
            messages.c.text_tsv.bool_op("@@")(words),
            # Mostly so; bare, the planner would expect it of one row in two hundred.
            func.coalesce(has_text(messages.c.content, postgresql=True), false()),
            visible_message(),
            *_filters(chosen),
            *where,
        )
    )


@cache
def recent_hits(chosen: frozenset[str], *, started: bool) -> Query:
    """Find hits on SQLite, by the stamp of the conversation; arguments as of `ranked_hits`."""
    found = _last_match()
    place = (conversations.c.updated_at, conversations.c.id)
    query = select(
        conversations.c.id,
        conversations.c.updated_at,
        found.label("message_id"),
        literal_column("1.0", _DOUBLE).label("score"),
        *conversations.c,
    ).where(found.is_not(None), *_filters(chosen))
    if started:
        query = query.where(tuple_(*place) < tuple_(*_POSITION))
    return query.order_by(*(column.desc() for column in place)).limit(_LIMIT)


def _last_match() -> ScalarSelect[Any]:
    content = messages.c.content
    match: ColumnElement[bool] = getattr(func, MATCHES)(text_of(content, postgresql=False), _QUERY)
    query = (
        select(messages.c.id)
        .select_from(messages)
        .join(segments, segments.c.id == messages.c.segment_id)
        .where(
            messages.c.conversation_id == conversations.c.id,
            visible_message(),
            has_text(content, postgresql=False),
            match,
        )
    )
    last = query.order_by(messages.c.position.desc()).limit(1)
    return last.correlate(conversations).scalar_subquery()
