"""Appending one message, a transaction each, against the same statements on the raw driver."""

from __future__ import annotations

from uuid import UUID

import psycopg
from harness import compare, conversation_in, fresh_database, run

from agentdb import Database, NewMessage

MESSAGES = 200

LOCK = "SELECT id FROM agent_conversations WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE"
APPEND = """
    WITH counted AS (
        UPDATE agent_conversations
        SET message_count = message_count + 1, last_message_at = clock_timestamp()
        WHERE id = %s RETURNING id, message_count - 1 AS position, last_message_at AS at
    )
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT c.id, s.id, c.position, %s, %s::jsonb, '[]', c.at
    FROM counted c JOIN conversation_ledger_segments s
        ON s.conversation_id = c.id AND s.truncated_at IS NULL
    RETURNING id, position, created_at
"""


async def raw_appends(raw: psycopg.AsyncConnection, tenant: UUID, conversation: UUID) -> int:
    """Append on the driver."""
    for _ in range(MESSAGES):
        async with raw.transaction():
            await raw.execute(LOCK, (conversation, tenant))
            await raw.execute(APPEND, (conversation, "user", '{"text": "hello"}'))
    return MESSAGES


async def our_appends(database: Database, tenant: UUID, conversation: UUID) -> int:
    """Append by the verb."""
    message = [NewMessage(role="user", content="hello")]
    for _ in range(MESSAGES):
        async with database.begin(tenant=tenant) as uow:
            await uow.agent_messages.append(conversation, message)
    return MESSAGES


async def main() -> None:
    """Measure both on conversations of their own."""
    async with fresh_database() as (database, raw):
        first, second = await conversation_in(database), await conversation_in(database)
        await compare(
            "append one message, one client",
            {
                "raw psycopg": lambda: raw_appends(raw, *first),
                "agentdb": lambda: our_appends(database, *second),
            },
        )


if __name__ == "__main__":
    run(main)
