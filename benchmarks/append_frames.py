"""Appending frames in batches of 100, against COPY on the raw driver."""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from harness import compare, conversation_in, fresh_database, run

from agentdb import Database

BATCHES, SIZE = 20, 100

COPY = """
    COPY conversation_ledger_events (
        tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
        server_timestamp, payload_size_bytes, payload_json, ingested_at
    ) FROM STDIN
"""
SEGMENT = "SELECT id FROM conversation_ledger_segments WHERE conversation_id = %s"

_streams = count()


def batch(stream: str) -> list[dict[str, Any]]:
    """Return the frames of one stream."""
    return [
        {
            "schema": "public_sse_v1",
            "kind": "message.delta",
            "stream_id": stream,
            "event_id": number,
            "server_timestamp": "2026-01-01T00:00:00.000Z",
            "delta": "some text of a typical length for one delta",
        }
        for number in range(1, SIZE + 1)
    ]


async def raw_copies(raw: psycopg.AsyncConnection, tenant: UUID, conversation: UUID) -> int:
    """Copy on the driver, as text."""
    segment = await (await raw.execute(SEGMENT, (conversation,))).fetchone()
    assert segment is not None  # noqa: S101 -- the harness made it
    for _ in range(BATCHES):
        async with raw.transaction(), raw.cursor() as cursor, cursor.copy(COPY) as copy:
            for frame in batch(f"s{next(_streams)}"):
                payload = json.dumps(frame)
                at = frame["server_timestamp"]
                row = [tenant, conversation, segment[0], frame["schema"], frame["kind"]]
                row += [frame["stream_id"], frame["event_id"], at, len(payload), payload, at]
                await copy.write_row(row)
    return BATCHES * SIZE


async def our_appends(database: Database, tenant: UUID, conversation: UUID) -> int:
    """Append by the verb."""
    for _ in range(BATCHES):
        async with database.begin(tenant=tenant) as uow:
            await uow.conversation_ledger_events.append(conversation, batch(f"s{next(_streams)}"))
    return BATCHES * SIZE


async def main() -> None:
    """Measure both on conversations of their own."""
    async with fresh_database() as (database, raw):
        first, second = await conversation_in(database), await conversation_in(database)
        await compare(
            "append frames in batches of 100, one client",
            {
                "COPY, text": lambda: raw_copies(raw, *first),
                "agentdb": lambda: our_appends(database, *second),
            },
        )


if __name__ == "__main__":
    run(main)
