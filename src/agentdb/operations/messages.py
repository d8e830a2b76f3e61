"""Appending messages to a conversation that may not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from agentdb.checks import check_fields, check_text, check_values
from agentdb.conversations.models import AgentConversation
from agentdb.conversations.rows import ConversationRef, MessageRow, NewMessage, RunMetadata
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.operations.undoing import undo_with
from agentdb.unit_of_work import UnitOfWork


class Appended(NamedTuple):
    """What an append has left.

    Attributes:
        conversation: The conversation, with what the append has changed in it.
        rows: The stored messages, in order.
    """

    conversation: AgentConversation
    rows: list[MessageRow]


async def append_messages(
    uow: UnitOfWork,
    ref: ConversationRef,
    messages: Sequence[NewMessage],
    *,
    create: str | None = None,
    user_id: UUID | None = None,
    run_metadata: RunMetadata | None = None,
    handoffs: int = 0,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Appended:
    """Append messages, as one contiguous batch, to a conversation that is made if need be.

    All or nothing. N concurrent first messages all succeed, in one conversation with one segment,
    with the positions 0 … N - 1; appends to other conversations are not blocked. Stamps follow the
    order of the appends, whatever the clocks say.

    Args:
        uow: A unit of work.
        ref: The conversation.
        messages: In order.
        create: Agent that opens the conversation if there is none with the key *ref*.
        user_id: Owner of a new conversation, a member of the tenant.
        run_metadata: What the run tells of the conversation, as `apply_run_metadata` notes it.
        handoffs: How often the run went from one agent to another.
        tenant_id: The tenant, in a system unit.
        now: The clock of the append.

    Raises:
        NotFoundError: There is no such conversation and *create* is not given, or no such user.
        InvalidValueError: A value is refused, or *create* is given with an id.
        DuplicateError: The provider's id belongs to another conversation.
    """
    tenant = uow.scope.owner(tenant_id)
    if create is not None:
        check_text(create, "an agent")
    check_fields(run_metadata or {}, RunMetadata)
    messages = check_values(messages, "messages")
    conversation: UUID | None = None
    async with undo_with(uow) as touch:
        conversation = await _conversation(uow, ref, create, user_id, tenant)
        touch(conversation)
        if run_metadata or handoffs:
            await uow.agent_conversations.apply_run_metadata(
                conversation, handoffs=handoffs, tenant_id=tenant, now=now, **(run_metadata or {})
            )
        rows = await uow.agent_messages.append(conversation, messages, tenant_id=tenant, now=now)
        row = await uow.agent_conversations.require(conversation)
    return Appended(row, rows)


async def _conversation(
    uow: UnitOfWork, ref: ConversationRef, create: str | None, user: UUID | None, tenant: UUID
) -> UUID:
    if create is not None:
        if isinstance(ref, UUID):
            raise InvalidValueError("a conversation is made from its key, not from an id")
        made, _ = await uow.agent_conversations.get_or_create(
            ref, create, user_id=user, tenant_id=tenant
        )
        return made.id
    found = await uow.agent_conversations.by_ref(ref, tenant_id=tenant)
    if found is None:
        raise NotFoundError("no such row of agent_conversations")
    return found.id
