"""The host as a web application: a request is a unit of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Header, Request, Response

from agentdb import Database, UnitOfWork
from agentdb.errors import DuplicateError, NotFoundError
from helpdesk import tickets


async def unit_of_work(
    request: Request, tenant: Annotated[UUID, Header()]
) -> AsyncIterator[UnitOfWork]:
    """Begin the unit of a request; the header stands for a host's authentication."""
    database: Database = request.app.state.database
    async with database.begin(tenant=tenant) as uow:
        yield uow


# Scope "function" commits before the response is sent: nobody is told of what may yet fail.
Unit = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]


async def refuse(_: Request, error: Exception) -> Response:
    """Tell a customer what is wrong; the unit has been rolled back."""
    return Response(str(error), 409 if isinstance(error, DuplicateError) else 404)


def make_app(database: Database) -> FastAPI:
    """Return the application on a database, which the caller disposes of."""
    app = FastAPI(exception_handlers={DuplicateError: refuse, NotFoundError: refuse})
    app.state.database = database
    app.post("/tickets", status_code=201)(post_ticket)
    app.get("/tickets")(get_tickets)
    app.get("/tickets/{ticket_id}")(get_ticket)
    return app


async def post_ticket(uow: Unit, title: str, question: str) -> int:
    """File a ticket."""
    return (await tickets.file_ticket(uow, title, question)).id


async def get_tickets(uow: Unit) -> list[str]:
    """List the titles of the tenant's tickets."""
    return [ticket.title for ticket in await tickets.list_tickets(uow)]


async def get_ticket(uow: Unit, ticket_id: int) -> list[str | None]:
    """Show what was written."""
    return await tickets.read_ticket(uow, ticket_id)
