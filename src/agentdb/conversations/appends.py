"""Appending messages, under the lock of their conversation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.batch import (
    Columns,
    encode_batch,
    guard_batch,
    plain_rows,
    send_in_turn,
    stored_instant,
)
from agentdb.conversations.refs import lock_and_send, read_state
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import (
    GIVEN,
    TOUCH_EVERY,
    append_message_embedded,
    append_messages,
    count_messages_embedded,
    messages,
)
from agentdb.direct import Row
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
        return await lock_and_send(unit, ref, tenant, append_messages(), parameters)


async def append_rows(
    unit: Unit, ref: ConversationRef, tenant: UUID, columns: Columns, now: datetime | None
) -> tuple[UUID, list[Row]]:
    """Append checked messages on SQLite, where the unit holds the write lock; as `append_batch`."""
    rows = plain_rows(messages, (*GIVEN, "created_at"), columns)
    state = await read_state(unit, ref, tenant)
    if state.segment is None:
        return state.conversation, []
    at = unit.stamp(now, state.newest_message, state.newest_frame)
    touched = at if at - state.updated_at > TOUCH_EVERY else state.updated_at
    place = {"conversation_id": state.conversation.hex, "segment_id": state.segment.hex}
    for position, row in enumerate(rows, state.message_count):
        row.update(place, position=position, created_at=row["created_at"] or stored_instant(at))
    counted = {"size": len(rows), "at": at, "touched": touched, "conversation": state.conversation}
    insert = append_message_embedded()
    calls = [(insert, row) for row in rows]
    return state.conversation, await send_in_turn(
        unit, [(count_messages_embedded(), counted), *calls]
    )
