"""What the host does, as plain functions of a unit of work."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from agentdb import NewMessage, UnitOfWork
from agentdb.errors import NotFoundError
from helpdesk.models import Ticket


async def file_ticket(uow: UnitOfWork, title: str, question: str) -> Ticket:
    """Begin a conversation with the question, and file a ticket for it.

    The ticket is a row of the host in the same transaction: it goes through the session of the
    unit, whose errors are agentdb's.

    Raises:
        DuplicateError: The tenant has a ticket of this title.
    """
    conversation, _ = await uow.agent_conversations.get_or_create(title, agent_entrypoint="triage")
    await uow.agent_messages.append(conversation.id, [NewMessage(role="user", content=question)])
    ticket = Ticket(tenant_id=uow.tenant, conversation_id=conversation.id, title=title)
    uow.session.add(ticket)
    await uow.session.flush()
    return ticket


async def list_tickets(uow: UnitOfWork) -> Sequence[Ticket]:
    """Return the tickets of the tenant, oldest first."""
    mine = select(Ticket).where(Ticket.tenant_id == uow.tenant).order_by(Ticket.id)
    return (await uow.session.scalars(mine)).all()


async def read_ticket(uow: UnitOfWork, ticket_id: int) -> list[str | None]:
    """Return what was written to a ticket.

    Raises:
        NotFoundError: The tenant has no such ticket.
    """
    mine = select(Ticket).where(Ticket.tenant_id == uow.tenant, Ticket.id == ticket_id)
    ticket = await uow.session.scalar(mine)
    if ticket is None:
        raise NotFoundError("there is no such ticket")
    page = await uow.agent_messages.transcript(ticket.conversation_id)
    return [message.text for message in page]
