"""Replaying 5,000 frames in pages of 500, parsed and as stored, against the raw driver."""

from __future__ import annotations

from uuid import UUID

import psycopg
from append_frames import batch
from harness import compare, conversation_in, fresh_database, run

from agentdb import Database

STREAMS, PAGE = 50, 500

READ = """
    SELECT id, stream_id, event_id, kind, server_timestamp, payload_json
    FROM conversation_ledger_events
    WHERE tenant_id = %s AND conversation_id = %s AND id > %s ORDER BY id LIMIT %s
"""


async def raw_replay(raw: psycopg.AsyncConnection, tenant: UUID, conversation: UUID) -> int:
    """Read on the driver, payloads parsed by it."""
    after, seen = 0, 0
    while True:
        rows = await (await raw.execute(READ, (tenant, conversation, after, PAGE))).fetchall()
        if not rows:
            return seen
        after, seen = rows[-1][0], seen + len(rows)


async def our_replay(database: Database, tenant: UUID, conversation: UUID, *, parsed: bool) -> int:
    """Read by the verb."""
    cursor, seen, more = None, 0, True
    async with database.read(tenant=tenant) as uow:
        while more:
            page = await uow.conversation_ledger_events.replay(
                conversation, after=cursor, limit=PAGE
            )
            seen += sum(1 for frame in page if not parsed or frame.payload is not None)
            cursor, more = page.cursor, page.more
    return seen


async def main() -> None:
    """Measure all on one conversation."""
    async with fresh_database() as (database, raw):
        ids = await conversation_in(database)
        for number in range(STREAMS):
            async with database.begin(tenant=ids[0]) as uow:
                await uow.conversation_ledger_events.append(ids[1], batch(f"s{number}"))
        await compare(
            "replay 5,000 frames in pages of 500",
            {
                "raw psycopg, parsed": lambda: raw_replay(raw, *ids),
                "agentdb, parsed": lambda: our_replay(database, *ids, parsed=True),
                "agentdb, as stored": lambda: our_replay(database, *ids, parsed=False),
            },
        )


if __name__ == "__main__":
    run(main)
