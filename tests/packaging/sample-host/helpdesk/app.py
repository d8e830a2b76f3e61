"""The host as a web application: a request is a unit of work."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Header

from agentdb import Database, UnitOfWork
from agentdb.integrations.fastapi import get_uow, install
from helpdesk import tickets


async def tenant_of(tenant: Annotated[UUID, Header()]) -> UUID:
    """Tell the tenant of a request; the header stands for a host's authentication."""
    return tenant


Uow = Annotated[UnitOfWork, get_uow(tenant_of)]
Snapshot = Annotated[UnitOfWork, get_uow(tenant_of, read_only=True)]


def make_app(database: Database) -> FastAPI:
    """Return the application on a database, which it disposes of when it ends."""
    app = FastAPI()
    install(app, database)
    app.post("/tickets", status_code=201)(post_ticket)
    app.get("/tickets")(get_tickets)
    app.get("/tickets/{ticket_id}")(get_ticket)
    return app


async def post_ticket(uow: Uow, title: str, question: str) -> int:
    """File a ticket."""
    return (await tickets.file_ticket(uow, title, question)).id


async def get_tickets(uow: Snapshot) -> list[str]:
    """List the titles of the tenant's tickets."""
    return [ticket.title for ticket in await tickets.list_tickets(uow)]


async def get_ticket(uow: Snapshot, ticket_id: int) -> list[str | None]:
    """Show what was written."""
    return await tickets.read_ticket(uow, ticket_id)
