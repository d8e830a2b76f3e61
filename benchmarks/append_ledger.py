"""Append frames in batches of 100, by eight clients, a conversation each.

The baseline is COPY in text format, on the driver, in a transaction for each batch. It writes the
same columns; it neither skips frames that are recorded already nor keeps two appends of one
conversation in order. eventsourcing locks its table instead.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from agentdb import Database
from benchmarks.frames import BATCH, new_batch
from benchmarks.harness import (
    CLIENTS,
    Bench,
    Case,
    Goal,
    Raw,
    at_once,
    conversations_in,
    new_tenant,
    peer_cases,
)
from benchmarks.peers import advanced_alchemy, eventsourcing
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy
from benchmarks.peers.eventsourcing import Recorder

COPY = """
    COPY conversation_ledger_events (
        tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
        server_timestamp, payload_size_bytes, payload_json, ingested_at
    ) FROM STDIN
"""
SEGMENT = "SELECT id FROM conversation_ledger_segments WHERE conversation_id = %s"

TITLE, BASE = "batches of 100, eight clients", "psycopg, COPY text"
AA, ES = "advanced-alchemy", "eventsourcing"

GOALS = (Goal(TITLE, BASE, 1.0), Goal(TITLE, AA, 5), Goal(TITLE, ES, 1.3))


async def raw_append(raw: Raw, tenant: UUID, conversation: UUID) -> int:
    """Copy on the driver, as text."""
    async with raw.transaction():
        found = await (await raw.execute(SEGMENT, (conversation,))).fetchone()
        if found is None:
            raise LookupError(conversation)
        async with raw.cursor() as cursor, cursor.copy(COPY) as copy:
            for frame in new_batch():
                payload = json.dumps(frame)
                at = frame["server_timestamp"]
                row = [tenant, conversation, found[0], frame["schema"], frame["kind"]]
                row += [frame["stream_id"], frame["event_id"], at, len(payload), payload, at]
                await copy.write_row(row)
    return BATCH


async def our_append(database: Database, tenant: UUID, conversation: UUID) -> int:
    """Append by the verb."""
    async with database.begin(tenant=tenant) as uow:
        return len(await uow.conversation_ledger_events.append(conversation, new_batch()))


async def measure(bench: Bench) -> None:
    """Measure eight clients at once."""
    place = await bench.place()
    tenant = await new_tenant(place.database)
    conversations = await conversations_in(place.database, tenant, 2 * CLIENTS)
    mine, others = conversations[:CLIENTS], conversations[CLIENTS:]
    raws = await place.connections()
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    recorder = await bench.open(ES, eventsourcing.opened(place.other()))
    clients, batches = range(CLIENTS), bench.size(6, 1)

    async def batches_of(append: Callable[[], Awaitable[int]]) -> int:
        return sum([await append() for _ in range(batches)])

    async def raw(number: int) -> int:
        return await batches_of(partial(raw_append, raws[number], tenant, others[number]))

    async def agentdb(number: int) -> int:
        return await batches_of(partial(our_append, place.database, tenant, mine[number]))

    async def entities(peer: AdvancedAlchemy) -> int:
        return await at_once(clients, lambda n: batches_of(lambda: peer.add_events(n, new_batch())))

    async def events(peer: Recorder) -> int:
        return await at_once(
            clients, lambda n: batches_of(lambda: peer.insert(mine[n], new_batch()))
        )

    cases = [
        Case(BASE, partial(at_once, clients, raw), "baseline"),
        Case("agentdb", partial(at_once, clients, agentdb)),
        *peer_cases(AA, alchemy, entities),
        *peer_cases(ES, recorder, events),
    ]
    await bench.compare(TITLE, cases, unit="frames")
