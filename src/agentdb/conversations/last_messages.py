"""The last messages of several conversations, in one statement."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, select, true

from agentdb.checks import check_values
from agentdb.conversations.messages import message_rows
from agentdb.conversations.rows import MessageRow
from agentdb.conversations.statements import (
    RETURNED,
    TENANT,
    Query,
    conversations,
    messages,
    segments,
    visible_message,
)
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.types import Uuid
from agentdb.unit import Unit

_COUNT = bindparam("count", type_=Integer())


async def last_messages(
    unit: Unit, wanted: Iterable[UUID], count: int, tenant: UUID | None
) -> dict[UUID, list[MessageRow]]:
    """Return the last *count* visible messages of each conversation that has any."""
    keys = list(dict.fromkeys(map(Uuid().check, check_values(wanted, "conversations"))))
    statement = last_of_many(confined=tenant is not None, postgresql=unit.is_postgresql)
    given = {"count": count} if tenant is None else {"count": count, "tenant": tenant}
    found: dict[UUID, list[MessageRow]] = {}
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        parameters = {"conversations": keys[start : start + KEYS_PER_STATEMENT], **given}
        rows: Any = (await unit.execute(statement, parameters)).all()
        for row in message_rows(rows):
            found.setdefault(row.conversation_id, []).append(row)
    return found


@cache
def last_of_many(*, confined: bool, postgresql: bool) -> Query:
    """Read the last messages of some conversations, each in the order of its positions.

    Every conversation costs a walk back from its end that stops at the count: a window over all
    messages would read them from the first one on.

    Args:
        confined: Whether the conversations are of one tenant.
        postgresql: Which database it is for; SQLite has no LATERAL.
    """
    among = bindparam("conversations", type_=Uuid(), expanding=True)
    conditions = [conversations.c.id.in_(among)]
    conditions += [conversations.c.tenant_id == TENANT] if confined else []
    query = _by_lateral() if postgresql else _by_key()
    return query.where(*conditions)


def _by_lateral() -> Query:
    last = _last([messages.c[name] for name in RETURNED], messages).lateral("last")
    query = select(*(last.c[name] for name in RETURNED)).select_from(
        conversations.join(last, true())
    )
    return query.order_by(conversations.c.id, last.c.position)


def _by_key() -> Query:
    same = messages.alias("same")
    last = _last([same.c.id], same).scalar_subquery()
    query = select(*(messages.c[name] for name in RETURNED)).select_from(
        conversations.join(messages, messages.c.conversation_id == conversations.c.id)
    )
    return query.where(messages.c.id.in_(last)).order_by(conversations.c.id, messages.c.position)


def _last(columns: list[ColumnElement[Any]], among: Any) -> Any:
    query = (
        select(*columns)
        .select_from(among.join(segments, segments.c.id == among.c.segment_id))
        .where(among.c.conversation_id == conversations.c.id, visible_message(among))
    )
    return query.order_by(among.c.position.desc()).limit(_COUNT).correlate(conversations)
