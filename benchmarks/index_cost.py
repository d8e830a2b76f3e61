"""What the indexes beyond keys and constraints cost on writes to the hot tables."""

from __future__ import annotations

import psycopg
from append_frames import our_appends as append_frames
from append_message import our_appends as append_messages
from harness import compare, conversation_in, fresh_database, run

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


async def drop(raw: psycopg.AsyncConnection) -> None:
    """Drop the indexes that only look-ups, pages and foreign-key actions need."""
    for index in (name for names in DROPPED.values() for name in names):
        await raw.execute(f"DROP INDEX {index}".encode())


async def main() -> None:
    """Measure two databases in turns: one without the added indexes, one with them."""
    async with fresh_database() as (bare, raw), fresh_database() as (full, _):
        await drop(raw)
        without, with_all = await conversation_in(bare), await conversation_in(full)
        await compare(
            "append one message",
            {
                "without added indexes": lambda: append_messages(bare, *without),
                "as migrated": lambda: append_messages(full, *with_all),
            },
        )
        await compare(
            "append frames in batches of 100",
            {
                "without added indexes": lambda: append_frames(bare, *without),
                "as migrated": lambda: append_frames(full, *with_all),
            },
        )


if __name__ == "__main__":
    run(main)
