"""The sessions of the OpenAI Agents SDK: `SQLAlchemySession` and `SQLiteSession`.

As of https://openai.github.io/openai-agents-python/sessions/sqlalchemy_session: a session object
for each conversation, on one engine of the application, which is of asyncpg on PostgreSQL, and
`add_items` for each message. They keep items in the order of their ids, without positions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine

from agentdb.urls import async_url
from benchmarks.harness.clients import at_once, repeat
from benchmarks.harness.servers import CLIENTS
from benchmarks.peers import load

TEXT = "Where is my order? It should have arrived on Tuesday."


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session for each conversation."""

    sessions: Sequence[Any]

    async def append(self, clients: Sequence[int], each: int, *, same: bool) -> int:
        """Append messages: to one conversation, or each client to its own."""

        async def one(number: int) -> int:
            session = self.sessions[0 if same else number]
            return await repeat(
                each, lambda: session.add_items([{"role": "user", "content": TEXT}])
            )

        return await at_once(clients, one)

    async def add_items(self, count: int) -> int:
        """Append many messages at once to the first conversation."""
        await self.sessions[0].add_items([{"role": "user", "content": TEXT}] * count)
        return count

    async def items(self, limit: int | None = None) -> int:
        """Read the first conversation, or its last items; return how many they are."""
        return len(await self.sessions[0].get_items(limit))


@asynccontextmanager
async def sqlalchemy_sessions(url: str) -> AsyncGenerator[Sessions]:
    """Yield sessions on an empty database; a SQLite file is written as durably as by SQLiteSession.

    The SDK leaves `synchronous` at the default of SQLite, which is FULL.
    """
    kind = load("agents.extensions.memory.sqlalchemy_session").SQLAlchemySession
    place = async_url(url)
    if place.get_backend_name() == "postgresql":
        place = place.set(drivername="postgresql+asyncpg")
    engine = create_async_engine(place, pool_size=CLIENTS)
    try:
        sessions = [kind(f"user-{n}", engine=engine, create_tables=True) for n in range(CLIENTS)]
        for session in sessions:
            await session.add_items([{"role": "user", "content": TEXT}])
        yield Sessions(sessions)
    finally:
        await engine.dispose()


@asynccontextmanager
async def sqlite_sessions(file: str) -> AsyncGenerator[Sessions]:
    """Yield sessions on a file."""
    kind = load("agents.memory.sqlite_session").SQLiteSession
    sessions = [kind(f"user-{n}", file) for n in range(CLIENTS)]
    try:
        yield Sessions(sessions)
    finally:
        for session in sessions:
            session.close()
