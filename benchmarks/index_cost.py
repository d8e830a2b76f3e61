"""What the indexes beyond keys and constraints cost on writes to the hot tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from agentdb import Database
from benchmarks.append_ledger import our_append as append_frames
from benchmarks.append_message import our_append as append_message
from benchmarks.harness import Bench, Case, Raw, connect, conversation_in, repeat

Append = Callable[[Database, UUID, UUID], Awaitable[object]]
"""Appends to a conversation of a tenant."""

DROPPED = {
    "agent_messages": ["ix_agent_messages_segment_id", "ix_agent_messages_text_tsv"],
    "agent_conversations": ["ix_agent_conversations_user_id"],
    "conversation_ledger_events": [
        "ix_conversation_ledger_events_segment_id",
        "ix_conversation_ledger_events_payload_object_id",
        "ix_conversation_ledger_events_workflow_run",
        "ix_conversation_ledger_events_citation",
    ],
}


async def drop(raw: Raw) -> None:
    """Drop the indexes that only look-ups, pages and foreign-key actions need."""
    for index in (name for names in DROPPED.values() for name in names):
        await raw.execute(f"DROP INDEX {index}".encode())


async def measure(bench: Bench) -> None:
    """Measure two databases in turns: one without the added indexes, one with them."""
    place = await bench.place()
    url = place.twin()
    bare, raw = await bench.keep(Database(url)), await bench.keep(await connect(url))
    await drop(raw)
    without, with_all = await conversation_in(bare), await conversation_in(place.database)
    verbs: dict[str, Append] = {
        "append a message": append_message,
        "append frames in batches of 100": append_frames,
    }
    times = bench.size(100, 2)
    for title, verb in verbs.items():
        cases = [
            Case(
                "without added indexes",
                partial(repeat, times, partial(verb, bare, *without)),
                "baseline",
            ),
            Case("as migrated", partial(repeat, times, partial(verb, place.database, *with_all))),
        ]
        await bench.compare(title, cases, unit="appends")
