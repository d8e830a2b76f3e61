import asyncio
import logging
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from starlette.requests import ClientDisconnect

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import ConfigurationError, TenantRequiredError
from agentdb.integrations.fastapi import get_uow
from agentdb.models import AgentConversation, TenantAccount
from agentdb.testing import Factory, finish
from tests.integrations.host import (
    Exchange,
    Snapshot,
    System,
    SystemSnapshot,
    TheDatabase,
    Uow,
    client_of,
    keys_of,
    make_app,
    open_conversation,
    scope_of,
    tenant_of,
)

commits = pytest.mark.agentdb_commits


@pytest.fixture
def narrow(agentdb_url: str) -> Any:
    """A database that has one connection."""
    settings = Settings(pool_size=1, max_overflow=0, busy_timeout=30.0, pool_timeout=30.0)
    database = Database(agentdb_url, settings=settings)
    yield database
    finish(database.dispose())


async def store(uow: Uow, key: str = "mine") -> str:
    """Store a conversation in the unit of the request."""
    await open_conversation(uow, key)
    return key


async def test_a_request_is_a_unit_of_its_tenant(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """What the endpoint wrote is there when the response is."""
    app = make_app(agentdb_database, store=store)

    response = await client_of(app, agentdb_tenant.id).post("/store")

    assert (response.status_code, response.json()) == (200, "mine")
    assert await keys_of(agentdb_database, agentdb_tenant.id) == {"mine"}


@commits
async def test_a_unit_commits_before_anything_is_sent(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Another connection sees the rows when the server gets the first byte of the response."""
    app = make_app(agentdb_database, store=store)
    client = Exchange()
    seen: list[tuple[str, set[str]]] = []

    async def send(message: Any) -> None:
        seen.append((message["type"], await keys_of(agentdb_database, agentdb_tenant.id)))

    await client.received.put({"type": "http.request", "body": b"", "more_body": False})
    await app(scope_of("/store", agentdb_tenant.id), client.receive, send)

    assert seen == [("http.response.start", {"mine"}), ("http.response.body", {"mine"})]


async def test_a_unit_that_cannot_commit_is_an_error_response(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Nobody is told of success: what the endpoint left to flush is refused before the response."""

    async def twice(uow: Uow) -> str:
        first = await open_conversation(uow, "mine")
        double = AgentConversation(
            tenant_id=first.tenant_id,
            conversation_key=first.conversation_key,
            agent_entrypoint="triage",
        )
        uow.session.add(double)
        return "stored"

    response = await client_of(make_app(agentdb_database, twice=twice), agentdb_tenant.id).post(
        "/twice"
    )

    assert (response.status_code, response.json()["error"]) == (409, "duplicate")
    assert await keys_of(agentdb_database, agentdb_tenant.id) == set()


async def refuse(uow: Uow) -> None:
    """Write, then refuse."""
    await open_conversation(uow, "mine")
    raise HTTPException(418)


async def fail(uow: Uow) -> None:
    """Write, then fail as a mistake does."""
    await open_conversation(uow, "mine")
    raise ZeroDivisionError


async def answer_wrongly(uow: Uow) -> int:
    """Write, then return what is not the response that was declared."""
    await open_conversation(uow, "mine")
    return cast("int", "no number")


@pytest.mark.parametrize(
    ("endpoint", "status"), [(refuse, 418), (fail, 500), (answer_wrongly, 500)]
)
async def test_any_failure_rolls_the_unit_back(
    agentdb_database: Database, agentdb_tenant: TenantAccount, endpoint: Any, status: int
) -> None:
    """Whether it is a refusal, a mistake, or a response that is not the one that was declared."""
    app = make_app(agentdb_database, endpoint=endpoint)

    response = await client_of(app, agentdb_tenant.id, raises=False).post("/endpoint")

    assert response.status_code == status
    assert await keys_of(agentdb_database, agentdb_tenant.id) == set()


async def test_a_request_that_is_cancelled_rolls_its_unit_back(
    narrow: Database, agentdb_tenant: TenantAccount
) -> None:
    """As a server does at its end; the connection serves the next one."""
    written = asyncio.Event()

    async def wait(uow: Uow) -> None:
        await open_conversation(uow, "mine")
        written.set()
        await asyncio.Event().wait()

    client = client_of(make_app(narrow, wait=wait), agentdb_tenant.id)
    request = asyncio.create_task(client.post("/wait"))
    await written.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert await keys_of(narrow, agentdb_tenant.id) == set()


async def test_a_client_that_leaves_while_it_sends_rolls_the_unit_back(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """An endpoint that reads the body as it comes learns of it."""

    async def upload(uow: Uow, request: Request) -> None:
        await open_conversation(uow, "mine")
        async for _ in request.stream():
            pass

    app = make_app(agentdb_database, upload=upload)
    client = Exchange()
    await client.received.put({"type": "http.request", "body": b"half", "more_body": True})
    await client.leave()

    with pytest.raises(ClientDisconnect):
        await app(scope_of("/upload", agentdb_tenant.id), client.receive, client.send)

    assert await keys_of(agentdb_database, agentdb_tenant.id) == set()


async def test_tenants_are_never_mixed(
    narrow: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Over 50 requests of two tenants at once, all on one connection."""
    tenants = [agentdb_tenant.id, agentdb_make.tenant_account().id]

    async def mine(uow: Uow, key: Annotated[str, Body()]) -> list[UUID]:
        await open_conversation(uow, key)
        return [each.tenant_id for each in await uow.agent_conversations.all()]

    app = make_app(narrow, mine=mine)
    owners = [tenants[number % 2] for number in range(50)]
    answers = await asyncio.gather(
        *(
            client_of(app, owner).post("/mine", json=f"{number}")
            for number, owner in enumerate(owners)
        )
    )

    for owner, response in zip(owners, answers, strict=True):
        assert set(response.json()) == {str(owner)}
    assert await keys_of(narrow, tenants[0]) == {f"{number}" for number in range(0, 50, 2)}
    assert await keys_of(narrow, tenants[1]) == {f"{number}" for number in range(1, 50, 2)}


@pytest.mark.agentdb_only("postgres")
async def test_units_of_requests_are_bound_by_policies(agentdb_policed_database: Database) -> None:
    """The tenant of the resolver goes to the server with BEGIN: statements past us see it alone."""
    database = agentdb_policed_database
    async with database.begin_system(reason="sign-up") as uow:
        tenants = [(await uow.tenant_accounts.create(slug, slug)).id for slug in ("ours", "theirs")]

    async def seen(uow: Uow) -> list[UUID]:
        connection = await uow.session.connection()
        return list((await connection.exec_driver_sql("SELECT id FROM tenant_accounts")).scalars())

    app = make_app(database, seen=seen)
    for tenant in tenants:
        response = await client_of(app, tenant).post("/seen")
        assert response.json() == [str(tenant)]


async def test_a_request_has_one_unit(narrow: Database, agentdb_tenant: TenantAccount) -> None:
    """However many of its dependencies ask for it, also by a type of their own."""

    async def user_of(uow: Annotated[UnitOfWork, get_uow(tenant_of)]) -> UnitOfWork:
        return uow

    async def same(uow: Uow, other: Annotated[UnitOfWork, Depends(user_of)]) -> bool:
        return uow is other

    response = await client_of(make_app(narrow, same=same), agentdb_tenant.id).post("/same")

    assert response.json() is True


async def test_a_snapshot_writes_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It is refused, whatever the endpoint does."""

    async def write(uow: Snapshot) -> None:
        await open_conversation(uow, "mine")

    app = make_app(agentdb_database, write=write)

    response = await client_of(app, agentdb_tenant.id).post("/write")

    assert response.status_code == 403
    assert await keys_of(agentdb_database, agentdb_tenant.id) == set()


async def count_all(uow: System) -> list[UUID]:
    """Return the tenants."""
    return [tenant.id for tenant in await uow.tenant_accounts.all()]


async def look_at_all(uow: SystemSnapshot) -> list[UUID]:
    """Return the tenants of one moment."""
    return [tenant.id for tenant in await uow.tenant_accounts.all()]


@pytest.mark.parametrize("endpoint", [count_all, look_at_all])
async def test_a_system_unit_reaches_across_tenants_and_says_why(
    agentdb_database: Database,
    agentdb_make: Factory,
    agentdb_tenant: TenantAccount,
    caplog: pytest.LogCaptureFixture,
    endpoint: Any,
) -> None:
    """It needs no tenant of the request, whose reads and writes it is for."""
    other = agentdb_make.tenant_account()
    caplog.set_level(logging.INFO, "agentdb")

    response = await client_of(make_app(agentdb_database, all=endpoint)).post("/all")

    assert {str(agentdb_tenant.id), str(other.id)} <= set(response.json())
    assert "system unit of work: statistics" in caplog.messages


def unauthorised() -> UUID:
    """Refuse, as a resolver does that finds no session."""
    raise HTTPException(401)


async def forbidden(tenant: Annotated[UUID, Header()]) -> UUID:
    """Refuse, as a resolver does that finds no membership."""
    raise HTTPException(403, f"no member of {tenant}")


@pytest.fixture
def nowhere(tmp_path: Path) -> Any:
    """A database that answers 503 to whoever connects to it."""
    database = Database(f"sqlite:///{tmp_path / 'no such folder' / 'app.db'}")
    yield database
    finish(database.dispose())


@pytest.mark.parametrize(
    ("resolver", "tenant", "status"),
    [
        (unauthorised, "5e0a8a2c-6d5c-4d5b-9d3c-0d8a6a5a1f00", 401),
        (forbidden, "5e0a8a2c-6d5c-4d5b-9d3c-0d8a6a5a1f00", 403),
        (tenant_of, "acme", 422),
        (tenant_of, "5e0a8a2c-6d5c-4d5b-9d3c-0d8a6a5a1f00", 503),
    ],
)
async def test_a_refused_request_reaches_no_database(
    nowhere: Database, resolver: Any, tenant: str, status: int
) -> None:
    """What the resolver raises is the response; only who passes it gets to the connection."""
    app = make_app(nowhere, store=store)
    app.dependency_overrides[tenant_of] = resolver

    response = await client_of(app).post("/store", headers={"tenant": tenant})

    assert response.status_code == status


async def test_a_resolver_without_an_answer_gets_no_unit(nowhere: Database) -> None:
    """A mistake in it must not become a unit that belongs to nobody."""
    app = make_app(nowhere, store=store)
    app.dependency_overrides[tenant_of] = lambda: None

    with pytest.raises(TenantRequiredError):
        await client_of(app).post("/store")


async def test_a_resolver_may_have_dependencies_and_be_synchronous(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It is a dependency as any other: with a session, a header, the database."""

    def of_session(database: TheDatabase, session: Annotated[str, Header()]) -> UUID:
        assert database is agentdb_database
        return {"s-1": agentdb_tenant.id}[session]

    async def whose(uow: Annotated[UnitOfWork, get_uow(of_session)]) -> UUID | None:
        return uow.tenant

    client = client_of(make_app(agentdb_database, whose=whose))
    response = await client.post("/whose", headers={"session": "s-1"})

    assert response.json() == str(agentdb_tenant.id)


async def test_an_application_without_a_database_says_what_is_missing() -> None:
    """The first request that needs one names the function to call."""
    app = FastAPI()
    app.post("/store")(store)

    with pytest.raises(ConfigurationError, match="install"):
        await client_of(app, UUID(int=1)).post("/store")
