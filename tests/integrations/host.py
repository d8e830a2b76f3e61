"""A host on FastAPI: what it writes itself, and a client that speaks to it without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header
from httpx import ASGITransport, AsyncClient

from agentdb import Database, UnitOfWork
from agentdb.integrations.fastapi import get_database, get_system_uow, get_uow, install
from agentdb.models import AgentConversation


async def tenant_of(tenant: Annotated[UUID, Header()]) -> UUID:
    """Tell the tenant by a header, which stands for the authentication of a host."""
    return tenant


Uow = Annotated[UnitOfWork, get_uow(tenant_of)]
Snapshot = Annotated[UnitOfWork, get_uow(tenant_of, read_only=True)]
System = Annotated[UnitOfWork, get_system_uow("statistics")]
SystemSnapshot = Annotated[UnitOfWork, get_system_uow("statistics", read_only=True)]
Tenant = Annotated[UUID, Depends(tenant_of)]
TheDatabase = Annotated[Database, Depends(get_database)]


def make_app(database: Database, **endpoints: Callable[..., Any]) -> FastAPI:
    """Return an application that answers POST at the names of *endpoints*."""
    app = FastAPI()
    install(app, database)
    for name, endpoint in endpoints.items():
        app.post(f"/{name}")(endpoint)
    return app


def client_of(app: FastAPI, tenant: UUID | None = None, *, raises: bool = True) -> AsyncClient:
    """Return a client, of a tenant if one is given; *raises* what a server would log."""
    headers = {} if tenant is None else {"tenant": str(tenant)}
    transport = ASGITransport(app, raise_app_exceptions=raises)
    return AsyncClient(transport=transport, base_url="http://host", headers=headers)


async def keys_of(database: Database, tenant: UUID) -> set[str]:
    """Return the keys of the conversations that are committed, without the tenant before them."""
    async with database.read(tenant=tenant) as uow:
        found = await uow.agent_conversations.all()
    return {each.conversation_key.partition(":")[2] for each in found}


async def open_conversation(uow: UnitOfWork, key: str) -> AgentConversation:
    """Store a conversation."""
    made, _ = await uow.agent_conversations.get_or_create(key, agent_entrypoint="triage")
    return made


class Exchange:
    """One request whose response is read message by message, while it is made."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        await self.sent.put(message)

    async def receive(self) -> dict[str, Any]:
        """Give the application what the client sends, when the test has put it there."""
        return await self.received.get()

    async def message(self) -> dict[str, Any]:
        """Return the next message of the application."""
        return await asyncio.wait_for(self.sent.get(), 30)

    async def text(self) -> str:
        """Return the next piece of the body."""
        body: bytes = (await self.message())["body"]
        return body.decode()

    async def leave(self) -> None:
        """Close the connection."""
        await self.received.put({"type": "http.disconnect"})


def scope_of(path: str, tenant: UUID, method: str = "POST") -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "server": ("host", 80),
        "headers": [(b"tenant", str(tenant).encode())],
    }


@asynccontextmanager
async def exchange(app: FastAPI, path: str, tenant: UUID) -> AsyncGenerator[Exchange]:
    """Begin a request, and end it with the block."""
    client = Exchange()
    request = asyncio.create_task(app(scope_of(path, tenant), client.receive, client.send))
    await client.received.put({"type": "http.request", "body": b"", "more_body": False})
    try:
        yield client
    finally:
        await client.leave()
        await asyncio.wait_for(request, 30)
