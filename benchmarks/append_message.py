"""Append one message, a transaction each: by one client, and by eight.

The baseline is the least that keeps positions dense: one statement that counts the conversation up
and inserts, between BEGIN and COMMIT, each sent by itself; beside it the same in one pipeline of
the driver. A single unit of agentdb takes one round trip, any other two. What one would use instead
counts and inserts by an ORM, or has no positions at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from agentdb import Database, NewMessage
from benchmarks.harness import (
    CLIENTS,
    Bench,
    Case,
    Goal,
    Place,
    Raw,
    at_once,
    conversations_in,
    new_tenant,
    peer_cases,
    repeat,
)
from benchmarks.peers import advanced_alchemy, openai_agents
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy
from benchmarks.peers.openai_agents import Sessions

APPEND = """
    WITH counted AS (
        UPDATE agent_conversations
        SET message_count = message_count + 1, last_message_at = clock_timestamp()
        WHERE id = %s AND tenant_id = %s
        RETURNING id, message_count - 1 AS position, last_message_at AS at
    )
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT c.id, s.id, c.position, %s, %s::jsonb, '[]', c.at
    FROM counted c JOIN conversation_ledger_segments s
        ON s.conversation_id = c.id AND s.truncated_at IS NULL
    RETURNING id, position, created_at
"""
TEXT = "Where is my order? It should have arrived on Tuesday."
CONTENT = f'{{"text": "{TEXT}"}}'
MESSAGE = [NewMessage(role="user", content=TEXT)]

ONE = "one client"
SPREAD = "eight clients, a conversation each"
SAME = "eight clients, one conversation"

BASE, AA, AGENTS = "psycopg, one statement", "advanced-alchemy", "OpenAI Agents SQLAlchemySession"
PIPELINED, SINGLE = "psycopg, one pipeline", "agentdb, a single unit"

GOALS = (
    Goal(ONE, BASE, 0.90, SINGLE),
    Goal(SPREAD, BASE, 0.75, SINGLE),
    Goal(SAME, BASE, 0.95, SINGLE),
    *(Goal(title, AA, 9, SINGLE) for title in (ONE, SPREAD, SAME)),
    *(Goal(title, AGENTS, 3.5, SINGLE) for title in (ONE, SPREAD, SAME)),
)


RawAppend = Callable[[Raw, UUID, UUID], Awaitable[None]]
"""Appends on the driver."""


async def raw_append(raw: Raw, tenant: UUID, conversation: UUID) -> None:
    """Append on the driver."""
    async with raw.transaction():
        found = await raw.execute(APPEND, (conversation, tenant, "user", CONTENT))
        await found.fetchall()


async def raw_append_pipelined(raw: Raw, tenant: UUID, conversation: UUID) -> None:
    """Append on the driver, in one round trip."""
    async with raw.pipeline():
        await raw_append(raw, tenant, conversation)


async def our_append(
    database: Database, tenant: UUID, conversation: UUID, *, single: bool = False
) -> None:
    """Append by the verb."""
    async with database.begin(tenant=tenant, single=single) as uow:
        await uow.agent_messages.append(conversation, MESSAGE)


async def measure(bench: Bench) -> None:
    """Measure one client, eight on conversations of their own, and eight on the same one."""
    place = await bench.place()
    tenant = await new_tenant(place.database)
    ours = await conversations_in(place.database, tenant)
    # The driver writes to conversations of its own, as the peers do.
    theirs = await conversations_in(place.database, await new_tenant(place.database, "Raw"))
    owner = await place.ask("SELECT tenant_id FROM agent_conversations WHERE id = %s", [theirs[0]])
    raws = await place.connections()
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    agents = await bench.open(AGENTS, openai_agents.sqlalchemy_sessions(place.other()))
    each = bench.size(60, 2)
    for title, mine, others in _shapes(ours, theirs):
        clients = range(len(mine))

        async def raw(append: RawAppend, number: int, others: list[UUID] = others) -> int:
            return await repeat(each, partial(append, raws[number], owner, others[number]))

        async def agentdb(number: int, mine: list[UUID] = mine, *, single: bool = False) -> int:
            append = partial(our_append, place.database, tenant, mine[number], single=single)
            return await repeat(each, append)

        same = title == SAME
        cases = [
            Case(BASE, partial(at_once, clients, partial(raw, raw_append)), "baseline"),
            Case(PIPELINED, partial(at_once, clients, partial(raw, raw_append_pipelined)), "peer"),
            Case("agentdb", partial(at_once, clients, agentdb)),
            Case(SINGLE, partial(at_once, clients, partial(agentdb, single=True))),
            *peer_cases(AA, alchemy, AdvancedAlchemy.append, clients, each, same=same),
            *peer_cases(AGENTS, agents, Sessions.append, clients, each, same=same),
        ]
        await bench.compare(title, cases, unit="messages")
    await _check(place)


def _shapes(ours: list[UUID], theirs: list[UUID]) -> list[tuple[str, list[UUID], list[UUID]]]:
    return [
        (ONE, ours[:1], theirs[:1]),
        (SPREAD, ours, theirs),
        (SAME, ours[:1] * CLIENTS, theirs[:1] * CLIENTS),
    ]


async def _check(place: Place) -> None:
    """Make sure that no position is missing: a fast append that loses one is none."""
    gaps = await place.ask(
        "SELECT count(*) FROM agent_conversations c WHERE message_count <>"
        " (SELECT count(*) FROM agent_messages m WHERE m.conversation_id = c.id)"
    )
    if gaps:
        raise SystemExit(f"{gaps} conversations have lost messages")
