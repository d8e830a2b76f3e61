"""Search the conversations of a tenant, among 1,000,000 messages of 81 tenants.

One tenant has 200,000 of them, the others have 10,000 each. A rare word is in one of 10,000
messages, a common one in every hundredth. The baseline is the SQL that agentdb sends, on the driver
alone, planned for its words each time; the other case is the same without the index of the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import event

from agentdb import Database
from benchmarks.harness import (
    Bench,
    Case,
    Goal,
    Place,
    Raw,
    new_conversation,
    new_tenant,
    repeat,
)

SMALL_TENANTS, CONVERSATIONS, MESSAGES = 80, 100, 100
LARGE = 20
"""How many times as many conversations the large tenant has."""
RARE, COMMON = "zeppelin", "tuesday"

FILL = (
    "DROP INDEX ix_agent_messages_text_tsv",
    """
    INSERT INTO tenant_accounts (id, slug, name, created_at)
    SELECT gen_random_uuid(), 'small-' || n, 'Small', now() FROM generate_series(1, %(tenants)s) n
    """,
    """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'tenant_id', t.id, 'conversation_key', t.id || ':' || n))).*
    FROM agent_conversations c CROSS JOIN tenant_accounts t CROSS JOIN LATERAL generate_series(
        1, %(conversations)s * CASE WHEN t.id = c.tenant_id THEN %(large)s ELSE 1 END) n
    WHERE c.id = %(model)s
    """,
    """
    INSERT INTO conversation_ledger_segments
        (id, tenant_id, conversation_id, segment_index, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, id, 0, now(), now()
    FROM agent_conversations WHERE id <> %(model)s
    """,
    """
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT conversation_id, id, n, 'user', jsonb_build_object('text',
            'where is order ' || (1000 * random())::int || ' of customer '
            || (100000 * random())::int
            || CASE WHEN random() < 0.01 THEN ' tuesday' ELSE '' END
            || CASE WHEN key ~ ':([0-9]*0)?1$' AND n = 7 THEN ' zeppelin' ELSE '' END),
        '[]', now()
    FROM (
        SELECT s.id, s.conversation_id, c.conversation_key AS key
        FROM conversation_ledger_segments s JOIN agent_conversations c ON c.id = s.conversation_id
        WHERE c.id <> %(model)s
    ) AS filled CROSS JOIN generate_series(0, %(messages)s - 1) n
    """,
    "CREATE INDEX ix_agent_messages_text_tsv ON agent_messages USING gin (text_tsv)",
    "VACUUM ANALYZE",
)

BASE, UNINDEXED = "psycopg, the same SQL", "psycopg, without the index"
QUERIES = {RARE: "a rare word", COMMON: "a word in every hundredth message"}
SIZES = ("the large tenant", "a small tenant")


def title(query: str, size: str) -> str:
    """Return the title of a comparison."""
    return f"{QUERIES[query]}, {size}"


GOALS = (
    *(Goal(title(query, size), BASE, 0.8) for size in SIZES for query in QUERIES),
    Goal(title(RARE, SIZES[0]), UNINDEXED, 60),
)


@dataclass(slots=True)
class Sent:
    """The statement of a search as it went to the driver."""

    text: str = ""
    values: Any = None


async def sent_by(database: Database, tenant: UUID, query: str) -> Sent:
    """Return what agentdb sends for a search."""
    sent = Sent()

    def listen(*arguments: Any) -> None:
        _, _, statement, parameters, *_ = arguments
        if "plainto_tsquery" in statement:
            sent.text, sent.values = statement, parameters

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", listen)
    await our_search(database, tenant, query)
    event.remove(engine, "before_cursor_execute", listen)
    return sent


async def raw_search(raw: Raw, sent: Sent) -> None:
    """Send the same statement on the driver; a plan for any words would fit none."""
    async with raw.transaction():
        await (await raw.execute(sent.text.encode(), sent.values, prepare=False)).fetchall()


async def unindexed_search(raw: Raw, sent: Sent) -> int:
    """Send it where the index is dropped until the transaction is rolled back."""
    async with raw.transaction(force_rollback=True):
        await raw.execute("DROP INDEX ix_agent_messages_text_tsv")
        await (await raw.execute(sent.text.encode(), sent.values, prepare=False)).fetchall()
    return 1


async def our_search(database: Database, tenant: UUID, query: str) -> None:
    """Search by the verb."""
    async with database.read(tenant=tenant) as uow:
        await uow.agent_conversations.search(query)


async def fill(place: Place, large: UUID, bench: Bench) -> UUID:
    """Store conversations of many tenants by SQL; return one of the small ones."""
    values = {
        "model": await new_conversation(place.database, large, "model"),
        "tenants": bench.size(SMALL_TENANTS, 3),
        "conversations": bench.size(CONVERSATIONS, 3),
        "large": bench.size(LARGE, 2),
        "messages": MESSAGES,
    }
    for statement in FILL:
        await place.raw.execute(statement.encode(), values, prepare=False)
    small: UUID = await place.ask("SELECT id FROM tenant_accounts WHERE slug = 'small-1'")
    return small


async def measure(bench: Bench) -> None:
    """Measure one client."""
    place = await bench.place()
    large = await new_tenant(place.database)
    tenants = zip(SIZES, (large, await fill(place, large, bench)), strict=True)
    times = bench.size(10, 1)
    for size, tenant in tenants:
        for query in QUERIES:
            sent = await sent_by(place.database, tenant, query)
            raw = partial(raw_search, place.raw, sent)
            ours = partial(our_search, place.database, tenant, query)
            cases = [
                Case(BASE, partial(repeat, times, raw), "baseline"),
                Case("agentdb", partial(repeat, times, ours)),
                Case(UNINDEXED, partial(unindexed_search, place.raw, sent), "peer"),
            ]
            await bench.compare(title(query, size), cases, unit="searches")
