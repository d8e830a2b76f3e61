"""advanced-alchemy: declarative bases and repositories over an AsyncSession.

As of https://advanced-alchemy.litestar.dev/latest/usage/repositories.html: models on a base of the
library, a `SQLAlchemyAsyncRepository` for each, `add` and `add_many`, `LimitOffset` for pages, a
session for each unit of work, and commit at its end. A message has a position in its conversation,
so the conversation is read with FOR UPDATE and counted up first; so is a counter.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count, islice
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.urls import async_url
from benchmarks.harness.clients import at_once, repeat
from benchmarks.harness.servers import CLIENTS
from benchmarks.peers import load

_JSON = JSON().with_variant(JSONB(), "postgresql")


def _base() -> Any:
    return load("advanced_alchemy.base").IdentityBase


@cache
def _repositories() -> dict[str, Any]:
    """Return the repositories by name; their models are declared once, where the package is."""

    class Conversation(_base()):  # type: ignore[misc] # the peer has no types here
        __tablename__ = "peer_conversations"
        message_count: Mapped[int]

    class Message(_base()):  # type: ignore[misc] # the peer has no types here
        __tablename__ = "peer_messages"
        __table_args__ = (UniqueConstraint("conversation_id", "position"),)
        conversation_id: Mapped[int] = mapped_column(BigInteger)
        position: Mapped[int]
        role: Mapped[str]
        content: Mapped[Any] = mapped_column(_JSON)

    class Event(_base()):  # type: ignore[misc] # the peer has no types here
        __tablename__ = "peer_events"
        __table_args__ = (
            UniqueConstraint("conversation_id", "stream_id", "event_id"),
            Index("ix_peer_events_replay", "conversation_id", "id"),
        )
        conversation_id: Mapped[int] = mapped_column(BigInteger)
        stream_id: Mapped[str]
        event_id: Mapped[int] = mapped_column(BigInteger)
        kind: Mapped[str]
        payload: Mapped[Any] = mapped_column(_JSON)

    class Usage(_base()):  # type: ignore[misc] # the peer has no types here
        __tablename__ = "peer_usage"
        quantity: Mapped[int]

    models = (Conversation, Message, Event, Usage)
    kind = load("advanced_alchemy.repository").SQLAlchemyAsyncRepository
    return {
        model.__name__: type(f"{model.__name__}Repository", (kind,), {"model_type": model})
        for model in models
    }


@dataclass(frozen=True, slots=True)
class AdvancedAlchemy:
    """Its verbs, for as many clients as there are conversations."""

    sessions: async_sessionmaker[AsyncSession]
    positions: count[int] = field(default_factory=count)
    """Of the messages that `add_messages` adds to one more conversation."""

    async def append(self, clients: Sequence[int], each: int, *, same: bool) -> int:
        """Append messages: to one conversation, or each client to its own."""
        return await at_once(
            clients, lambda n: repeat(each, lambda: self._append(1 if same else n + 1))
        )

    async def _append(self, conversation: int) -> None:
        async with self.sessions() as session:
            conversations = _repositories()["Conversation"](session=session)
            counted = await conversations.get_one(id=conversation, with_for_update=True)
            await self._store(session, "Message", [_message(conversation, counted.message_count)])
            counted.message_count += 1
            await session.commit()

    async def _store(self, session: AsyncSession, name: str, rows: list[dict[str, Any]]) -> None:
        repository = _repositories()[name](session=session)
        entities = [repository.model_type(**row) for row in rows]
        if len(entities) == 1:
            await repository.add(entities[0])
        else:
            await repository.add_many(entities)

    async def add_messages(self, count: int) -> int:
        """Add messages by one `add_many` for 1,000 of them, in one transaction."""
        positions = islice(self.positions, count)
        async with self.sessions() as session:
            while rows := [_message(0, position) for position in islice(positions, 1000)]:
                await self._store(session, "Message", rows)
            await session.commit()
        return count

    async def add_events(self, conversation: int, frames: Sequence[Mapping[str, Any]]) -> int:
        """Add the frames of one batch by `add_many`."""
        rows = [
            {
                "conversation_id": conversation,
                "stream_id": frame["stream_id"],
                "event_id": frame["event_id"],
                "kind": frame["kind"],
                "payload": frame,
            }
            for frame in frames
        ]
        async with self.sessions() as session:
            await self._store(session, "Event", rows)
            await session.commit()
        return len(frames)

    async def replay(self, conversation: int, limit: int) -> int:
        """Read the events of a conversation, a page after the other, by key."""
        after, found = 0, 0
        while True:
            async with self.sessions() as session:
                events = _repositories()["Event"](session=session)
                event = events.model_type
                page = await events.list(
                    event.conversation_id == conversation,
                    event.id > after,
                    load("advanced_alchemy.filters").LimitOffset(limit=limit, offset=0),
                    order_by=("id", False),
                )
            found += sum(row.payload is not None for row in page)
            if len(page) < limit:
                return found
            after = page[-1].id

    async def pages(self, times: int, offset: int, limit: int) -> int:
        """Read a page of messages by LIMIT and OFFSET, some times."""
        return await repeat(times, lambda: self._page(offset, limit))

    async def _page(self, offset: int, limit: int) -> None:
        async with self.sessions() as session:
            messages = _repositories()["Message"](session=session)
            part = load("advanced_alchemy.filters").LimitOffset(limit=limit, offset=offset)
            mine = messages.model_type.conversation_id == 0
            await messages.list(mine, part, order_by=("position", False))

    async def increment(self, _client: int, row: int) -> None:
        """Count a row up, locked while it is read and written."""
        async with self.sessions() as session:
            usage = _repositories()["Usage"](session=session)
            counted = await usage.get_one(id=row + 1, with_for_update=True)
            counted.quantity += 1
            await session.commit()


def _message(conversation: int, position: int) -> dict[str, Any]:
    content = {"text": "Where is my order? It should have arrived on Tuesday."}
    return {
        "conversation_id": conversation,
        "position": position,
        "role": "user",
        "content": content,
    }


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[AdvancedAlchemy]:
    """Yield the peer on an empty database, with rows for as many clients as there are."""
    repositories = _repositories()
    engine = create_async_engine(async_url(url), pool_size=CLIENTS)
    peer = AdvancedAlchemy(async_sessionmaker(engine, expire_on_commit=False))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(repositories["Usage"].model_type.metadata.create_all)
        async with peer.sessions.begin() as session:
            for name, column in (("Conversation", "message_count"), ("Usage", "quantity")):
                model = repositories[name].model_type
                session.add_all([model(id=n + 1, **{column: 0}) for n in range(CLIENTS)])
        yield peer
    finally:
        await engine.dispose()
