"""Appending messages, under the lock of their conversation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.batch import Columns, encode_batch, guard_batch, plain_rows, send_in_turn
from agentdb.conversations.refs import lock_and_send, named_by, require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import (
    GIVEN,
    append_count_embedded,
    append_message_embedded,
    append_messages,
    messages,
)
from agentdb.direct import Row
from agentdb.types import utc_now
from agentdb.unit import Unit


async def append_batch(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[UUID, list[Row]]:
    """Append checked messages on PostgreSQL.

    Returns:
        The conversation, and what the append made of each message; nothing, where there is no
        active segment.

    Raises:
        NotFoundError: The tenant has no such conversation.
        ValueTooLongError: The batch is larger than a statement takes.
    """
    encoded = encode_batch(messages, columns)
    parameters = {**encoded, "size": len(columns["role"]), "now": unit.frozen(now)}
    async with guard_batch(unit, encoded):
        return await lock_and_send(unit, ref, tenant, append_messages(), parameters, last=True)


async def append_rows(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[UUID, list[Row]]:
    """Append checked messages on SQLite, where the unit holds the write lock; as `append_batch`."""
    size, by_key = len(columns["role"]), not isinstance(ref, UUID)
    names = tuple(name for name in GIVEN if name in columns)
    insert = append_message_embedded(names=names, by_key=by_key)
    rows = plain_rows(messages, (*names, "created_at"), columns)
    place = named_by(tenant, ref)
    count = {**place, "size": size, "now": unit.frozen(now) or utc_now()}
    inserts = [
        (insert, {**place, **row, "behind": size - number}) for number, row in enumerate(rows)
    ]
    calls = [(append_count_embedded(by_key=by_key), count), *inserts]
    counted, *made = await send_in_turn(unit, calls, last=0)
    if not counted:
        return await require_by_ref(unit, ref, tenant), []
    return counted[0][0], [row for rows in made for row in rows]
