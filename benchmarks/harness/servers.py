"""A PostgreSQL server as it is set up by default, durable, and databases on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from agentdb import Database, Settings
from agentdb.testing import EmbeddedPostgres, PostgresTemplate
from agentdb.urls import sync_url

CLIENTS = 8

SETTINGS = Settings(pool_size=CLIENTS)
"""As by default, but for a connection for each client."""

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")

Raw = psycopg.AsyncConnection[TupleRow]


@dataclass(slots=True)
class Place:
    """A migrated database of one workload, and how to reach it.

    Attributes:
        url: Its URL.
        database: agentdb on it.
        raw: A connection of the driver in autocommit, which prepares every statement.
        opened: What is closed with it.
    """

    url: str
    database: Database
    raw: Raw
    _template: PostgresTemplate
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connections(self, count: int = CLIENTS, url: str | None = None) -> list[Raw]:
        """Return more connections of the driver, as `raw` is; *url* leads to another database."""
        made = [await connect(url or self.url) for _ in range(count)]
        return [await self.opened.enter_async_context(raw) for raw in made]

    def other(self) -> str:
        """Return the URL of an empty database on the same server, for a peer."""
        return self._template.empty()

    def twin(self) -> str:
        """Return the URL of another migrated database on the same server."""
        return self._template.clone()

    async def ask(self, query: str, parameters: Any = None) -> Any:
        """Return the first value of the first row."""
        row = await (await self.raw.execute(query.encode(), parameters)).fetchone()
        return None if row is None else row[0]


def plain(url: str) -> str:
    """Return a URL as the driver itself reads it."""
    return sync_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def connect(url: str) -> Raw:
    """Connect with the driver alone."""
    raw = await psycopg.AsyncConnection.connect(plain(url), autocommit=True)
    raw.prepare_threshold = 0
    return raw


def durable_server() -> EmbeddedPostgres:
    """Start a server that loses nothing: what the one for tests switches off is on again."""
    server = EmbeddedPostgres()
    with psycopg.connect(plain(server.url), autocommit=True) as connection:
        for setting in _DURABLE:
            connection.execute(f"ALTER SYSTEM RESET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")
    return server


@contextmanager
def fresh_template() -> Generator[PostgresTemplate]:
    """Yield what migrated databases are copied from, on a server that is deleted afterwards."""
    server = durable_server()
    try:
        template = PostgresTemplate(server)
        yield template
        template.close()
    finally:
        server.stop()


@asynccontextmanager
async def fresh_place(template: PostgresTemplate) -> AsyncGenerator[Place]:
    """Yield a new migrated database."""
    url = template.clone()
    async with Database(url, settings=SETTINGS) as database, await connect(url) as raw:
        place = Place(url, database, raw, template)
        async with place.opened:
            yield place


async def new_tenant(database: Database, name: str = "Benchmark") -> UUID:
    """Return the id of a new tenant."""
    async with database.begin_system(reason="benchmark") as uow:
        return (await uow.tenant_accounts.create_with_free_slug(name)).id


async def new_conversation(database: Database, tenant: UUID, key: str = "benchmark") -> UUID:
    """Return the id of a new conversation of a tenant, with its segment."""
    async with database.begin(tenant=tenant) as uow:
        row, _ = await uow.agent_conversations.get_or_create(key, "triage")
        await uow.conversation_ledger_segments.active(row.id)
    return row.id


async def conversation_in(database: Database) -> tuple[UUID, UUID]:
    """Return the ids of a new tenant and of a conversation of its own."""
    tenant = await new_tenant(database)
    return tenant, await new_conversation(database, tenant)


async def conversations_in(database: Database, tenant: UUID, count: int = CLIENTS) -> list[UUID]:
    """Return the ids of new conversations of a tenant."""
    known = [f"benchmark-{number}" for number in range(count)]
    return [await new_conversation(database, tenant, key) for key in known]
