"""Replay 10,000 frames in pages of 500, a transaction for each page.

The baseline reads the page by key on the driver, which parses the payloads. What a service sends on
to a browser it need not parse: that is the other case, beside eventsourcing, which keeps bytes.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from agentdb import Database
from benchmarks.frames import new_batch
from benchmarks.harness import (
    Bench,
    Case,
    Goal,
    Raw,
    conversation_in,
    peer_cases,
)
from benchmarks.peers import advanced_alchemy, eventsourcing
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy
from benchmarks.peers.eventsourcing import Recorder

PAGE = 500
STORED = 1000
"""Frames that are stored at once."""

SELECT = """
    SELECT e.id, e.stream_id, e.event_id, e.kind, e.server_timestamp, e.ingested_at, e.response_id,
           e.agent, e.workflow_run_id, e.payload_object_id, e.payload_size_bytes, e.payload_json
    FROM conversation_ledger_events e
    JOIN conversation_ledger_segments s ON s.id = e.segment_id
    WHERE e.tenant_id = %s AND e.conversation_id = %s AND e.id > %s
        AND (s.truncated_at IS NULL OR e.id <= s.visible_through_event_id)
    ORDER BY e.id LIMIT %s
"""

TITLE, BASE = "10,000 frames in pages of 500", "psycopg, parsed"
PARSED, AS_STORED = "agentdb, parsed", "agentdb, as stored"
AA, ES = "advanced-alchemy", "eventsourcing"

GOALS = (
    Goal(TITLE, BASE, 0.90, case=PARSED),
    Goal(TITLE, BASE, 2.5, case=AS_STORED),
    Goal(TITLE, AA, 3, case=PARSED),
    Goal(TITLE, ES, 1.0, case=AS_STORED),
)


async def raw_replay(raw: Raw, tenant: UUID, conversation: UUID) -> int:
    """Read all pages on the driver."""
    after, found = 0, 0
    while True:
        async with raw.transaction():
            cursor = await raw.execute(SELECT, (tenant, conversation, after, PAGE))
            rows = await cursor.fetchall()
        found += sum(row[-1] is not None for row in rows)
        if len(rows) < PAGE:
            return found
        after = rows[-1][0]


async def our_replay(database: Database, tenant: UUID, conversation: UUID, *, parsed: bool) -> int:
    """Read all pages by the verb."""
    cursor, found, more = None, 0, True
    while more:
        async with database.read(tenant=tenant) as uow:
            page = await uow.conversation_ledger_events.replay(
                conversation, after=cursor, limit=PAGE
            )
        found += sum((frame.payload if parsed else frame.raw) is not None for frame in page)
        cursor, more = page.cursor, page.more
    return found


async def store(database: Database, tenant: UUID, conversation: UUID, count: int) -> None:
    """Append frames, and let the database learn of them."""
    for _ in range(count // STORED):
        async with database.begin(tenant=tenant) as uow:
            await uow.conversation_ledger_events.append(conversation, new_batch(STORED))


async def measure(bench: Bench) -> None:
    """Measure one reader."""
    place = await bench.place()
    tenant, conversation = await conversation_in(place.database)
    count = bench.size(10_000, 1000)
    await store(place.database, tenant, conversation, count)
    await place.raw.execute("VACUUM ANALYZE")
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    recorder = await bench.open(ES, eventsourcing.opened(place.other()))
    for _ in range(count // STORED):
        if alchemy is not None:
            await alchemy.add_events(1, new_batch(STORED))
        if recorder is not None:
            await recorder.insert(conversation, new_batch(STORED))
    ours = partial(our_replay, place.database, tenant, conversation)
    cases = [
        Case(BASE, partial(raw_replay, place.raw, tenant, conversation), "baseline"),
        Case(PARSED, partial(ours, parsed=True)),
        Case(AS_STORED, partial(ours, parsed=False)),
        *peer_cases(AA, alchemy, AdvancedAlchemy.replay, 1, PAGE),
        *peer_cases(ES, recorder, Recorder.replay, conversation, PAGE),
    ]
    await bench.compare(TITLE, cases, unit="frames")
