"""What runs and steps refer to in text: users, and conversations by their stored keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.auth.models import User
from agentdb.conversations.refs import key_of
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import conversations
from agentdb.errors import NotFoundError
from agentdb.tenancy.predicates import members_of, table_of
from agentdb.unit import Unit


async def user_text(unit: Unit, user: UUID) -> str:
    """Return the canonical text of a user's id, and keep the user from being deleted meanwhile.

    No foreign key does either. As with one, a tenant's unit names members of its tenant alone, a
    system unit people who have left it too.

    Raises:
        NotFoundError: There is no such user.
    """
    users: Any = table_of(User)
    query = select(users.c.id).where(users.c.id == user)
    if unit.tenant is not None:
        query = query.where(users.c.id.in_(members_of(unit.tenant)))
    found = await unit.execute(query.with_for_update(read=True, key_share=True))
    key: UUID | None = found.scalar_one_or_none()
    if key is None:
        raise NotFoundError("a reference to users leads nowhere")
    return str(key)


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
