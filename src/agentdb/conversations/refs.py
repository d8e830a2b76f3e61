"""Finding a conversation by its id or by the host's key for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.checks import check_text
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import (
    conversations,
    lock_conversation,
    lock_conversation_by_key,
)
from agentdb.errors import InvalidValueError, NotFoundError, TenantRequiredError, ValueTooLongError
from agentdb.unit import Unit

MAX_EXTERNAL_KEY = 218
"""Characters of a host's key: what 255 leave beside a tenant's id and the colon."""


def stored_key(tenant: UUID, key: str) -> str:
    """Return the key of a conversation as it is stored: unique across tenants.

    Raises:
        InvalidValueError: The key is empty, or begins with the tenant's id and a colon itself.
        ValueTooLongError: It has more than 218 characters.
    """
    if len(check_text(key, "a conversation key")) > MAX_EXTERNAL_KEY:
        message = f"a conversation key has at most {MAX_EXTERNAL_KEY} characters"
        raise ValueTooLongError(message, limit=MAX_EXTERNAL_KEY)
    if key.startswith(f"{tenant}:"):
        raise InvalidValueError("a conversation key does not begin with the id of its tenant")
    return f"{tenant}:{key}"


def key_of(tenant: UUID | None, ref: str) -> str:
    """Return the stored key that *ref* stands for; a key that cannot exist matches nothing.

    Raises:
        TenantRequiredError: No tenant is known, and the key is unique within one alone.
        InvalidValueError: It is no key: a number, for example, is not taken for its digits.
    """
    if not isinstance(ref, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("a conversation is named by its id or by its key")
    if tenant is None:
        raise TenantRequiredError("a conversation key needs a tenant: pass tenant_id")
    return f"{tenant}:{ref}"


async def lock_by_ref(unit: Unit, ref: ConversationRef, tenant: UUID) -> UUID:
    """Lock a conversation until the unit ends, and return its id.

    Appends of one conversation so follow each other; foreign-key checks of others pass, and other
    conversations are not blocked.

    Raises:
        NotFoundError: The tenant has no such conversation.
    """
    parameters: dict[str, Any] = {"tenant": tenant}
    if isinstance(ref, UUID):
        statement = lock_conversation()
        parameters["conversation"] = ref
    else:
        statement = lock_conversation_by_key()
        parameters["key"] = key_of(tenant, ref)
    found: UUID | None = (await unit.execute(statement, parameters)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("no such row of agent_conversations")
    return found


async def require_by_ref(unit: Unit, ref: ConversationRef, tenant_id: UUID | None) -> UUID:
    """Return the id of a conversation that the unit may read.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    tenant = unit.scope.filter(tenant_id)
    if isinstance(ref, UUID):
        query = select(conversations.c.id).where(conversations.c.id == ref)
        if tenant is not None:
            query = query.where(conversations.c.tenant_id == tenant)
    else:
        key = key_of(tenant, ref)
        query = select(conversations.c.id).where(conversations.c.conversation_key == key)
    found: UUID | None = (await unit.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("no such row of agent_conversations")
    return found
