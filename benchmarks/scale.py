"""What the hot verbs cost as their tables grow: 10,000, 100,000 and 1,000,000 rows in each.

Three databases of one server, in turns. Messages and frames lie in conversations of 100, those in
tenants of 100; the queue has nine finished runs for each that waits. Verbs go round through 500
conversations, picked at random. Then the same for single conversations that have grown long, in a
database that has no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import cycle
from uuid import UUID

from agentdb import Database
from benchmarks.append_ledger import our_append as our_frames
from benchmarks.append_message import our_append
from benchmarks.harness import (
    Bench,
    Case,
    Place,
    Series,
    conversation_in,
    new_conversation,
    new_tenant,
    repeat,
)
from benchmarks.look_up import TOKENS, our_token
from benchmarks.run_queue import our_cycle
from benchmarks.search import RARE, our_search

ROWS = (10_000, 100_000, 1_000_000)
PER_CONVERSATION = PER_TENANT = 100
SAMPLE = 500
DAY = date(2026, 1, 1)

GROW = (
    "DROP INDEX ix_agent_messages_text_tsv",
    """
    INSERT INTO tenant_accounts (id, slug, name, created_at)
    SELECT gen_random_uuid(), 'grown-' || n, 'Grown', now()
    FROM generate_series(1, %(tenants)s) n
    """,
    """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'tenant_id', t.id, 'conversation_key', t.id || ':' || n,
        'message_count', 100))).*
    FROM agent_conversations c CROSS JOIN tenant_accounts t CROSS JOIN generate_series(1, 100) n
    WHERE c.id = %(model)s AND t.slug LIKE 'grown-%%'
    """,
    """
    INSERT INTO conversation_ledger_segments
        (id, tenant_id, conversation_id, segment_index, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, id, 0, now(), now() FROM agent_conversations c
    WHERE NOT EXISTS (SELECT FROM conversation_ledger_segments s WHERE s.conversation_id = c.id)
    """,
    """
    CREATE TEMPORARY TABLE grown AS
    SELECT s.* FROM conversation_ledger_segments s JOIN tenant_accounts t ON t.id = s.tenant_id
    WHERE t.slug LIKE 'grown-%%'
    """,
    """
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT conversation_id, id, n, 'user', jsonb_build_object('text',
            'where is order ' || (1000 * random())::int || ' of customer '
            || (100000 * random())::int
            || CASE WHEN random() < 0.001 THEN ' zeppelin' ELSE '' END),
        '[]', now()
    FROM grown CROSS JOIN generate_series(0, 99) n
    """,
    """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, payload_size_bytes, payload_json, ingested_at)
    SELECT tenant_id, conversation_id, id, 'public_sse_v1', 'message.delta', 'grown', n, now(), 180,
        jsonb_build_object('schema', 'public_sse_v1', 'kind', 'message.delta', 'stream_id', 'grown',
            'event_id', n, 'server_timestamp', '2026-01-01T00:00:00.000Z',
            'delta', 'some text of a typical length for one delta'), now()
    FROM grown CROSS JOIN generate_series(1, 100) n
    """,
    """
    INSERT INTO conversation_run_queue_items
        (tenant_id, conversation_id, status, attempt_count, payload_json, created_at, completed_at)
    SELECT tenant_id, conversation_id,
        CASE WHEN n <= 90 THEN 'completed' WHEN n = 91 THEN 'ready' ELSE 'queued' END, 1, '{}',
        now(), CASE WHEN n <= 90 THEN now() END
    FROM grown CROSS JOIN generate_series(1, 100) n
    """,
    """
    INSERT INTO usage_counters
        (id, tenant_id, period_start, granularity, input_tokens, output_tokens, requests,
         storage_bytes, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, '2026-01-01'::date + n, 'day', 0, 0, 1, 0, now(), now()
    FROM (SELECT DISTINCT tenant_id FROM grown) t CROSS JOIN generate_series(0, 9999) n
    """,
    "DROP TABLE grown",
    "CREATE INDEX ix_agent_messages_text_tsv ON agent_messages USING gin (text_tsv)",
)
TABLES = (
    "agent_messages",
    "conversation_ledger_events",
    "conversation_run_queue_items",
    "usage_counters",
    "service_account_tokens",
)

LENGTHS = (100, 1000, 10_000, 100_000)
VERBS = (
    "append a message",
    "append 100 frames",
    "the newest page of 50 messages",
    "replay 100 frames",
    "claim and complete a run",
    "count usage up",
    "find a token",
    "search for a rare word",
)
OF_CONVERSATION = VERBS[:4]
LENGTHEN = (
    """
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    SELECT conversation_id, id, n, 'user', '{"text": "where is order 7"}', '[]', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(0, %(length)s - 1) n
    WHERE conversation_id = %(conversation)s
    """,
    "UPDATE agent_conversations SET message_count = %(length)s WHERE id = %(conversation)s",
    """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, payload_json, ingested_at)
    SELECT tenant_id, conversation_id, id, 'public_sse_v1', 'message.delta', 'long', n, now(),
        '{"delta": "some text of a typical length for one delta"}', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(1, %(length)s) n
    WHERE conversation_id = %(conversation)s
    """,
    "VACUUM ANALYZE",
)

Verb = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of a size, and what the verbs are called with.

    Attributes:
        database: agentdb.
        places: Tenants and conversations, without end.
        tokens: Ids of tokens, without end.
    """

    database: Database
    places: Iterator[tuple[UUID, UUID]]
    tokens: Iterator[str]

    def verbs(self) -> Mapping[str, Verb]:
        """Return the hot verbs by name."""
        verbs: list[Verb] = [
            lambda: our_append(self.database, *next(self.places)),
            lambda: our_frames(self.database, *next(self.places)),
            self._page,
            self._replay,
            self._work_off,
            self._increment,
            lambda: our_token(self.database.lookup, next(self.tokens)),
            self._search,
        ]
        return dict(zip(VERBS, verbs, strict=True))

    async def _work_off(self) -> None:
        await our_cycle(self.database, 0)

    async def _page(self) -> None:
        tenant, conversation = next(self.places)
        async with self.database.read(tenant=tenant) as uow:
            await uow.agent_messages.transcript(conversation, direction="desc", limit=50)

    async def _replay(self) -> None:
        tenant, conversation = next(self.places)
        async with self.database.read(tenant=tenant) as uow:
            await uow.conversation_ledger_events.replay(conversation, limit=100)

    async def _increment(self) -> None:
        tenant, _ = next(self.places)
        async with self.database.begin(tenant=tenant) as uow:
            await uow.usage_counters.increment(None, DAY, requests=1)

    async def _search(self) -> None:
        tenant, _ = next(self.places)
        await our_search(self.database, tenant, RARE)


async def grown(place: Place, rows: int) -> Tables:
    """Fill each table of a database with some rows, and pick what the verbs are called with."""
    _, model = await conversation_in(place.database)
    tenants = max(rows // PER_CONVERSATION // PER_TENANT, 1)
    for statement in GROW:
        values = {"model": model, "tenants": tenants}
        await place.raw.execute(statement.encode(), values, prepare=False)
    await place.raw.execute(TOKENS.encode(), [rows])
    await place.raw.execute("VACUUM ANALYZE", prepare=False)
    await place.raw.execute("CHECKPOINT", prepare=False)
    sample = await place.raw.execute(
        "SELECT tenant_id, conversation_id FROM conversation_ledger_segments"
        " WHERE conversation_id <> %s ORDER BY random() LIMIT %s",
        [model, SAMPLE],
    )
    tokens = [f"token-{n}" for n in range(1, rows, max(rows // SAMPLE, 1))]
    return Tables(place.database, cycle(await sample.fetchall()), cycle(tokens))


async def measure(bench: Bench) -> None:
    """Measure tables of all sizes in turns, verb by verb; then conversations of all lengths."""
    sizes = ROWS[: bench.size(len(ROWS), 1)]
    places = {rows: await bench.place() for rows in sizes}
    tables = {rows: await grown(place, rows) for rows, place in places.items()}
    series = Series("the hot verbs, one client", "rows in each table")
    await _compare(bench, series, tables, VERBS, "rows")
    bench.facts.extend([await _size(places[sizes[-1]], table) for table in TABLES])
    place = await bench.place()
    tenant = await new_tenant(place.database)
    lengths = LENGTHS[: bench.size(len(LENGTHS), 1)]
    long = {length: await lengthened(place, tenant, length) for length in lengths}
    series = Series("one conversation, one client", "messages and frames in it")
    await _compare(bench, series, long, OF_CONVERSATION, "messages and frames")


async def lengthened(place: Place, tenant: UUID, length: int) -> Tables:
    """Make a conversation of some messages and as many frames."""
    conversation = await new_conversation(place.database, tenant, f"of {length}")
    values = {"conversation": conversation, "length": length}
    for statement in LENGTHEN:
        await place.raw.execute(statement.encode(), values, prepare=False)
    return Tables(place.database, cycle([(tenant, conversation)]), cycle([""]))


async def _compare(
    bench: Bench, series: Series, tables: Mapping[int, Tables], verbs: Sequence[str], unit: str
) -> None:
    times = bench.size(50, 2)
    bench.series.append(series)
    for verb in verbs:
        cases = {
            size: Case(f"{size:,} {unit}", partial(repeat, times, of.verbs()[verb]))
            for size, of in tables.items()
        }
        found = await bench.compare(f"{verb}, by {unit}", list(cases.values()), unit="calls")
        costs = {size: 1000 / found.rate(case.name) for size, case in cases.items()}
        series.points[verb] = costs


async def _size(place: Place, table: str) -> str:
    rows = await place.ask(f"SELECT count(*) FROM {table}")
    heap = await place.ask(f"SELECT pg_table_size('{table}')")
    indexes = await place.ask(f"SELECT pg_indexes_size('{table}')")
    return f"{table}: {heap / rows:,.0f} bytes a row, and {indexes / rows:,.0f} of indexes"
