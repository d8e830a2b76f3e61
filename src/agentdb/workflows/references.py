"""What runs and steps refer to in text: conversations, by their stored keys."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from agentdb.conversations.refs import key_of
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import conversations
from agentdb.unit import Unit


async def conversation_key(
    unit: Unit, ref: ConversationRef, tenant: UUID | None, *, lock: bool = False
) -> str | None:
    """Return the stored key of a conversation, None if there is none.

    Args:
        unit: The unit.
        ref: The conversation.
        tenant: Its tenant; None for any, in a system unit.
        lock: Keep it from being deleted until the unit ends, as a foreign-key check does; appends
            to it go on.
    """
    same = (
        conversations.c.id == ref
        if isinstance(ref, UUID)
        else conversations.c.conversation_key == key_of(tenant, ref)
    )
    query = select(conversations.c.conversation_key).where(same)
    if tenant is not None:
        query = query.where(conversations.c.tenant_id == tenant)
    if lock:
        query = query.with_for_update(read=True, key_share=True)
    key: str | None = (await unit.execute(query)).scalar_one_or_none()
    return key
