"""The beginnings of conversations' last texts, for lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select

from agentdb.conversations.statements import (
    Query,
    conversations,
    messages,
    segments,
    visible_message,
)
from agentdb.conversations.texts import has_text, text_of
from agentdb.types import Uuid
from agentdb.unit import Unit

PREVIEW_CHARACTERS = 160
"""The most characters of a preview."""


async def previews(unit: Unit, found: Sequence[UUID]) -> dict[UUID, str | None]:
    """Return the previews of some conversations, in one statement; the caller may read them."""
    if not found:
        return {}
    statement = _last_texts(postgresql=unit.is_postgresql)
    rows = await unit.execute(statement, {"conversations": found})
    return {row.id: row.preview for row in rows}


@cache
def _last_texts(*, postgresql: bool) -> Query:
    content = messages.c.content
    text = text_of(content, postgresql=postgresql)
    last = (
        select(func.substr(text, 1, PREVIEW_CHARACTERS, type_=Text()))
        .select_from(messages)
        .join(segments, segments.c.id == messages.c.segment_id)
        .where(
            messages.c.conversation_id == conversations.c.id,
            visible_message(),
            has_text(content, postgresql=postgresql),
        )
        .order_by(messages.c.position.desc())
        .limit(1)
        .correlate(conversations)
        .scalar_subquery()
    )
    among = bindparam("conversations", type_=Uuid(), expanding=True)
    return select(conversations.c.id, last.label("preview")).where(conversations.c.id.in_(among))
