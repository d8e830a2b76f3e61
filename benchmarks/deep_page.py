"""A page of 50 messages: the first one, and one behind 100,000.

The baseline reads by the unique key `(conversation_id, position)`, between BEGIN and COMMIT. What
one would use instead counts off the rows before the page by OFFSET.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from agentdb import Database
from benchmarks.harness import (
    Bench,
    Case,
    Comparison,
    Goal,
    Place,
    Raw,
    Series,
    conversation_in,
    peer_cases,
    repeat,
)
from benchmarks.peers import advanced_alchemy
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy

PAGE = 50
WALKED = 500
"""Messages of a page on the way to the deep one."""

FILL = """
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT conversation_id, id, n, 'user', '{"text": "Where is my order?"}', '[]', clock_timestamp()
    FROM conversation_ledger_segments, generate_series(0, %s - 1) n
    WHERE conversation_id = %s
"""
COUNT = "UPDATE agent_conversations SET message_count = %s WHERE id = %s"
SELECT = """
    SELECT m.id, m.conversation_id, m.segment_id, m.position, m.role, m.agent_type, m.content,
           m.attachments, m.tool_name, m.tool_call_id, m.token_count_prompt,
           m.token_count_completion, m.reasoning_tokens, m.latency_ms, m.content_checksum,
           m.run_id, m.created_at
    FROM agent_messages m
    JOIN agent_conversations c ON c.id = m.conversation_id
    JOIN conversation_ledger_segments s ON s.id = m.segment_id
    WHERE m.conversation_id = %s AND c.tenant_id = %s AND m.position > %s
        AND (s.truncated_at IS NULL OR m.position <= s.visible_through_message_position)
    ORDER BY m.position LIMIT %s
"""

BASE, AA = "psycopg, by key", "advanced-alchemy, LIMIT and OFFSET"
FIRST, DEEP = "agentdb, first page", "agentdb"

DEPTHS = (0, 1000, 10_000, 100_000)


def title(depth: int) -> str:
    """Return the title of the comparison at a depth."""
    return f"a page of 50 behind {depth:,} messages"


GOALS = (
    Goal(title(DEPTHS[-1]), BASE, 0.6),
    Goal(title(DEPTHS[-1]), FIRST, 1 / 1.15),
    Goal(title(DEPTHS[-1]), AA, 30),
)


async def raw_page(raw: Raw, tenant: UUID, conversation: UUID, depth: int) -> None:
    """Read a page on the driver."""
    async with raw.transaction():
        cursor = await raw.execute(SELECT, (conversation, tenant, depth - 1, PAGE + 1))
        await cursor.fetchall()


async def our_page(database: Database, tenant: UUID, conversation: UUID, after: str | None) -> int:
    """Read a page by the verb."""
    async with database.read(tenant=tenant) as uow:
        return len(await uow.agent_messages.transcript(conversation, after=after, limit=PAGE))


async def walk(database: Database, tenant: UUID, conversation: UUID, depth: int) -> str | None:
    """Return the cursor behind some messages, which only a walk leads to."""
    cursor = None
    async with database.read(tenant=tenant) as uow:
        for _ in range(depth // WALKED):
            page = await uow.agent_messages.transcript(conversation, after=cursor, limit=WALKED)
            cursor = page.next_cursor
    return cursor


async def fill(place: Place, conversation: UUID, count: int) -> None:
    """Store the messages of a conversation by SQL."""
    await place.raw.execute(FILL, (count, conversation))
    await place.raw.execute(COUNT, (count, conversation))
    await place.raw.execute("VACUUM ANALYZE")


async def measure(bench: Bench) -> None:
    """Measure one reader, deeper each time."""
    place = await bench.place()
    tenant, conversation = await conversation_in(place.database)
    depths = DEPTHS[: bench.size(len(DEPTHS), 2)]
    await fill(place, conversation, depths[-1] + 2 * PAGE)
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    if alchemy is not None:
        await alchemy.add_messages(depths[-1] + 2 * PAGE)
    series = Series("a page of 50", "messages before the page")
    bench.series.append(series)
    ours = partial(our_page, place.database, tenant, conversation)
    pages = bench.size(100, 2)
    for depth in depths:
        cursor = await walk(place.database, tenant, conversation, depth)
        raw = partial(raw_page, place.raw, tenant, conversation, depth)
        few = max(2, pages // 20)
        cases = [
            Case(BASE, partial(repeat, pages, raw), "baseline"),
            Case(DEEP, partial(repeat, pages, partial(ours, cursor))),
            Case(FIRST, partial(repeat, pages, partial(ours, None))),
            *peer_cases(AA, alchemy, AdvancedAlchemy.pages, few, depth, PAGE),
        ]
        found = await bench.compare(title(depth), cases, unit="pages")
        _note(series, found, depth)


def _note(series: Series, found: Comparison, depth: int) -> None:
    for name in found.turns:
        if name != FIRST:
            series.points.setdefault(name, {})[depth] = 1000 / found.rate(name)
