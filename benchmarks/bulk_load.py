"""Load 100,000 messages of one conversation, in one transaction, into an empty table.

The baseline is COPY in text format, on the driver. agentdb appends 1,000 at a time, with positions
and stamps. What one would use instead is `add_many`, which loads a tenth of it in a turn.
"""

from __future__ import annotations

import json
from functools import partial
from uuid import UUID

from agentdb import Database, NewMessage
from benchmarks.harness import (
    Bench,
    Case,
    Goal,
    Place,
    Raw,
    connect,
    conversation_in,
    peer_cases,
)
from benchmarks.peers import advanced_alchemy
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy

COPY = """
    COPY agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    FROM STDIN
"""
SEGMENT = "SELECT id FROM conversation_ledger_segments WHERE conversation_id = %s"
TEXT = "Where is my order? It should have arrived on Tuesday."
AT = "2026-01-01 00:00:00+00"
BATCH = 1000

TITLE, BASE, AA = "100,000 messages", "psycopg, COPY text", "advanced-alchemy, add_many"

GOALS = (Goal(TITLE, BASE, 0.9), Goal(TITLE, AA, 5))


async def raw_load(raw: Raw, conversation: UUID, count: int) -> int:
    """Copy on the driver, as text."""
    async with raw.transaction():
        found = await (await raw.execute(SEGMENT, (conversation,))).fetchone()
        if found is None:
            raise LookupError(conversation)
        async with raw.cursor() as cursor, cursor.copy(COPY) as copy:
            for position in range(count):
                content = json.dumps({"text": TEXT})
                await copy.write_row((conversation, found[0], position, "user", content, "[]", AT))
    return count


async def our_load(database: Database, tenant: UUID, conversation: UUID, count: int) -> int:
    """Append in batches, all in one unit."""
    async with database.begin(tenant=tenant) as uow:
        for _ in range(count // BATCH):
            messages = [NewMessage(role="user", content=TEXT) for _ in range(BATCH)]
            await uow.agent_messages.append(conversation, messages)
    return count


async def empty(raw: Raw) -> None:
    """Take all messages away."""
    await raw.execute("TRUNCATE agent_messages CASCADE")
    await raw.execute("UPDATE agent_conversations SET message_count = 0")
    await raw.execute("CHECKPOINT")


async def measure(bench: Bench) -> None:
    """Measure one client."""
    place = await bench.place()
    tenant, conversation = await conversation_in(place.database)
    raw, theirs = await _twin(bench, place)
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    count = bench.size(100_000, 1000)
    few = bench.size(10_000, 1000)
    ours = partial(our_load, place.database, tenant, conversation, count)
    cases = [
        Case(BASE, partial(raw_load, raw, theirs, count), "baseline", partial(empty, raw)),
        Case("agentdb", ours, prepare=partial(empty, place.raw)),
        *peer_cases(AA, alchemy, AdvancedAlchemy.add_messages, few),
    ]
    await bench.compare(TITLE, cases, unit="messages")


async def _twin(bench: Bench, place: Place) -> tuple[Raw, UUID]:
    """Return a connection to a database for the driver alone, and a conversation there."""
    url = place.twin()
    _, conversation = await conversation_in(await bench.keep(Database(url)))
    return await bench.keep(await connect(url)), conversation
