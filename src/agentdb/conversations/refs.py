"""Finding a conversation by its id or by the host's key for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Executable

from agentdb.checks import check_text
from agentdb.conversations.rows import ConversationRef
from agentdb.conversations.statements import (
    append_state,
    find_conversation,
    lock_conversation,
    lock_conversation_by_key,
)
from agentdb.direct import Call, Row
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
    by_key = not isinstance(ref, UUID)
    statement = lock_conversation_by_key() if by_key else lock_conversation()
    return _found((await unit.send((statement, named_by(tenant, ref))))[0])


async def lock_and_send(
    unit: Unit,
    ref: ConversationRef,
    tenant: UUID,
    statement: Executable,
    parameters: Mapping[str, Any],
    *,
    last: bool = False,
) -> tuple[UUID, list[Row]]:
    """Lock a conversation as `lock_by_ref` does, and then run a statement on it.

    They are two statements, so that the second sees what was committed before the lock was had. For
    an id they go in one round trip: the statement must do nothing where the tenant has no such
    conversation. With *last*, its rows tell that nothing has to follow it; see `Unit.send`.

    Returns:
        The id, and the rows of the statement.
    """
    place = {"tenant": tenant}
    if not isinstance(ref, UUID):
        ref = await lock_by_ref(unit, ref, tenant)
        call = statement, {**parameters, **place, "conversation": ref}
        return ref, (await unit.send(call, last=0 if last else None))[0]
    place["conversation"] = ref
    locked, rows = await unit.send(
        (lock_conversation(), place),
        (statement, {**parameters, **place}),
        last=1 if last else None,
    )
    return _found(locked), rows


class State(NamedTuple):
    """What an append of frames needs to know of a conversation, on SQLite.

    Attributes:
        conversation: Its id.
        segment: The active segment, if there is one.
        newest_message: The stamp of the last message, if there is any.
        newest_frame: The stamp of the last frame, if there is any.
        last_frame: The row of the last frame, if there is any.
    """

    conversation: UUID
    segment: UUID | None
    newest_message: datetime | None
    newest_frame: datetime | None
    last_frame: int | None


async def read_state(unit: Unit, ref: ConversationRef, tenant: UUID) -> State:
    """Return what an append of frames needs to know, where the unit holds SQLite's write lock.

    Raises:
        NotFoundError: The tenant has no such conversation.
    """
    by_key = not isinstance(ref, UUID)
    parameters = named_by(tenant, ref)
    (rows,) = await unit.send((append_state(by_key=by_key), parameters))
    _found(rows)
    return State(*rows[0])


async def find_and_send(
    unit: Unit,
    conversation: UUID,
    tenant_id: UUID | None,
    statement: Executable,
    parameters: Mapping[str, Any],
) -> list[Row]:
    """Read from a conversation that the unit may read, in one round trip.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    find = _finding(unit, conversation, tenant_id)
    found, rows = await unit.send(find, (statement, parameters))
    _found(found)
    return rows


def named_by(tenant: UUID, ref: ConversationRef) -> dict[str, Any]:
    """Return the parameters that name a conversation of a tenant."""
    return {"tenant": tenant, **_named(tenant, ref)}


def _named(tenant: UUID | None, ref: ConversationRef) -> dict[str, Any]:
    if isinstance(ref, UUID):
        return {"conversation": ref}
    return {"key": key_of(tenant, ref)}


def _found(rows: list[Row]) -> UUID:
    if not rows:
        raise NotFoundError("no such row of agent_conversations")
    found: UUID = rows[0][0]
    return found


async def require_by_ref(unit: Unit, ref: ConversationRef, tenant_id: UUID | None) -> UUID:
    """Return the id of a conversation that the unit may read.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    return _found((await unit.send(_finding(unit, ref, tenant_id)))[0])


def _finding(unit: Unit, ref: ConversationRef, tenant_id: UUID | None) -> Call:
    tenant = unit.scope.filter(tenant_id)
    confined = {} if tenant is None else {"tenant": tenant}
    by_key = not isinstance(ref, UUID)
    statement = find_conversation(by_key=by_key, confined=tenant is not None)
    return statement, {**_named(tenant, ref), **confined}
