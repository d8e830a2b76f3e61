"""The functions of the host, without the web."""

from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb import Database, UnitOfWork
from agentdb.errors import NotFoundError
from agentdb.models import TenantAccount
from agentdb.testing import Factory, Queries
from helpdesk.models import Ticket
from helpdesk.tickets import file_ticket, list_tickets, read_ticket


async def test_a_ticket_is_filed_with_its_question(agentdb_uow: UnitOfWork) -> None:
    """Both in one transaction."""
    ticket = await file_ticket(agentdb_uow, "printer", "Why is it on fire?")

    assert [ticket] == await list_tickets(agentdb_uow)
    assert await read_ticket(agentdb_uow, ticket.id) == ["Why is it on fire?"]


async def test_a_ticket_shows_its_conversation(
    agentdb_make: Factory, agentdb_uow: UnitOfWork, agentdb_queries: Queries
) -> None:
    """One that agentdb made up, in a bounded number of statements however long it is."""
    conversation = agentdb_make.conversation(messages=20)
    ticket = Ticket(
        tenant_id=conversation.tenant_id, conversation_id=conversation.id, title="printer"
    )
    agentdb_uow.session.add(ticket)
    await agentdb_uow.session.flush()

    with agentdb_queries(max=4):
        assert len(await read_ticket(agentdb_uow, ticket.id)) == 20


async def test_what_was_committed_is_seen_by_all(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_session: AsyncSession,
    agentdb_sync_connection: Connection,
) -> None:
    """By a session that the host makes itself, and by its synchronous code."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await file_ticket(uow, "printer", "Why is it on fire?")

    assert await agentdb_session.scalar(select(Ticket.title)) == "printer"
    assert agentdb_sync_connection.scalar(select(Ticket.tenant_id)) == agentdb_tenant.id


async def test_no_test_sees_the_tickets_of_another(agentdb_session: AsyncSession) -> None:
    """Everything is rolled back, though the code commits."""
    assert await agentdb_session.scalar(select(func.count()).select_from(Ticket)) == 0


async def test_a_ticket_belongs_to_a_tenant(agentdb_session: AsyncSession) -> None:
    """The foreign keys to agentdb's tables hold on both databases."""
    agentdb_session.add(Ticket(tenant_id=uuid4(), conversation_id=uuid4(), title="printer"))

    with pytest.raises(NotFoundError):
        await agentdb_session.commit()
