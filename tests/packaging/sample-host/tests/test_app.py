"""The host as its customers see it."""

import asyncio
from uuid import UUID

import pytest
from httpx import ASGITransport, AsyncClient

from agentdb import Database
from agentdb.models import TenantAccount
from agentdb.testing import Factory
from helpdesk.app import make_app

PRINTER = {"title": "printer", "question": "Why is it on fire?"}


@pytest.fixture
def client(agentdb_database: Database, agentdb_tenant: TenantAccount) -> AsyncClient:
    """A browser of the tenant."""
    return browser(agentdb_database, agentdb_tenant.id)


def browser(database: Database, tenant: UUID) -> AsyncClient:
    """Return a browser that has logged in to a tenant."""
    transport = ASGITransport(make_app(database))
    return AsyncClient(transport=transport, base_url="http://desk", headers={"tenant": str(tenant)})


async def test_a_ticket_can_be_read_back(client: AsyncClient) -> None:
    """Each request is a unit of work, which has been committed when the response is there."""
    filed = await client.post("/tickets", params=PRINTER)

    assert filed.status_code == 201
    read = await client.get(f"/tickets/{filed.json()}")
    assert read.json() == ["Why is it on fire?"]


async def test_a_refused_request_leaves_nothing(client: AsyncClient) -> None:
    """The question that came with it is rolled back."""
    filed = await client.post("/tickets", params=PRINTER)
    again = await client.post("/tickets", params={**PRINTER, "question": "Hello?"})

    assert again.status_code == 409
    read = await client.get(f"/tickets/{filed.json()}")
    assert read.json() == ["Why is it on fire?"]


async def test_tenants_see_nothing_of_each_other(
    client: AsyncClient, agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A ticket of another tenant is one that does not exist."""
    filed = await client.post("/tickets", params=PRINTER)
    stranger = browser(agentdb_database, agentdb_make.tenant_account().id)

    assert (await stranger.get("/tickets")).json() == []
    assert (await stranger.get(f"/tickets/{filed.json()}")).status_code == 404


async def test_the_application_starts_and_ends(
    client: AsyncClient, agentdb_database: Database
) -> None:
    """On a database whose schema it can work with, as a server starts it."""
    app = make_app(agentdb_database)

    async with app.router.lifespan_context(app):
        assert (await client.get("/tickets")).json() == []


@pytest.mark.agentdb_commits
async def test_of_requests_at_the_same_time_one_wins(client: AsyncClient) -> None:
    """On connections of their own, with real commits."""
    requests = (client.post("/tickets", params=PRINTER) for _ in range(4))
    answers = await asyncio.gather(*requests)

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert (await client.get("/tickets")).json() == ["printer"]
