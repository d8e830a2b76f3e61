"""Row-level security: the same verbs on a database under policies, and on one without.

The policies see the tenant that each transaction names, and the queries name it too. The units of
the one database run as the role that the policies bind. Cost against the number of tenants is that
under policies, of three databases in turns.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from agentdb import Database
from agentdb.testing import under_policies
from benchmarks.append_message import our_append
from benchmarks.deep_page import COUNT, FILL, our_page, walk
from benchmarks.harness import (
    Bench,
    Case,
    Goal,
    Raw,
    Series,
    conversation_in,
    repeat,
)
from benchmarks.harness.servers import SETTINGS
from benchmarks.replay import our_replay, store

BASE, POLICED = "agentdb, no policies", "agentdb"
APPEND, REPLAY, PAGE = "append a message", "replay 10,000 frames", "a page of 50 behind 10,000"

GOALS = (Goal(APPEND, BASE, 0.95), Goal(REPLAY, BASE, 0.95), Goal(PAGE, BASE, 0.88))

TENANTS = (10, 1000, 10_000)
GROW = (
    """
    INSERT INTO tenant_accounts (id, slug, name, created_at)
    SELECT gen_random_uuid(), 'grown-' || n, 'Grown', now()
    FROM generate_series((SELECT count(*) FROM tenant_accounts) + 1, %(tenants)s) n
    """,
    """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'tenant_id', t.id, 'conversation_key', t.id || ':' || n))).*
    FROM agent_conversations c CROSS JOIN tenant_accounts t CROSS JOIN generate_series(1, 10) n
    WHERE c.id = %(model)s
        AND NOT EXISTS (SELECT FROM agent_conversations o WHERE o.tenant_id = t.id)
    """,
    "VACUUM ANALYZE",
)


@dataclass(frozen=True, slots=True)
class Side:
    """A database with one filled conversation.

    Attributes:
        database: agentdb on it.
        raw: A connection that no policy binds.
        tenant: The tenant.
        conversation: Its conversation, with messages and frames.
        page: The cursor of the deep page.
    """

    database: Database
    raw: Raw
    tenant: UUID
    conversation: UUID
    page: str | None

    def ways(self, sizes: dict[str, int]) -> dict[str, Callable[[], Awaitable[int]]]:
        """Return what is measured, by title."""
        place = (self.database, self.tenant, self.conversation)
        return {
            APPEND: partial(repeat, sizes[APPEND], partial(our_append, *place)),
            REPLAY: partial(our_replay, *place, parsed=False),
            PAGE: partial(repeat, sizes[PAGE], partial(our_page, *place, self.page)),
        }


@asynccontextmanager
async def policed(url: str) -> AsyncGenerator[Database]:
    """Yield a database under policies, with its roles."""
    with under_policies(url) as urls:
        async with Database(urls.app, platform_url=urls.platform, settings=SETTINGS) as database:
            yield database


async def filled(database: Database, raw: Raw, sizes: dict[str, int]) -> Side:
    """Store messages and frames in a new conversation."""
    tenant, conversation = await conversation_in(database)
    messages = sizes["depth"] + 200
    await raw.execute(FILL.encode(), (messages, conversation))
    await raw.execute(COUNT.encode(), (messages, conversation))
    await store(database, tenant, conversation, sizes[REPLAY])
    await raw.execute("VACUUM ANALYZE")
    page = await walk(database, tenant, conversation, sizes["depth"])
    return Side(database, raw, tenant, conversation, page)


async def measure(bench: Bench) -> None:
    """Measure both databases in turns, then those under policies with few and many tenants."""
    sizes = {
        APPEND: bench.size(200, 2),
        PAGE: bench.size(100, 2),
        REPLAY: bench.size(10_000, 1000),
        "depth": bench.size(10_000, 500),
    }
    place = await bench.place()
    theirs = (await filled(place.database, place.raw, sizes)).ways(sizes)
    counts = TENANTS[: bench.size(len(TENANTS), 1)]
    bound = {count: (await _bound(bench, sizes, count)).ways(sizes) for count in counts}
    for title, ours in bound[counts[0]].items():
        cases = [Case(BASE, theirs[title], "baseline"), Case(POLICED, ours)]
        await bench.compare(title, cases)
    series = Series("under row-level security", "tenants")
    bench.series.append(series)
    for title in (APPEND, PAGE):
        names = {count: f"{count:,} tenants" for count in counts}
        cases = [Case(names[count], ways[title]) for count, ways in bound.items()]
        found = await bench.compare(f"{title}, by tenants", cases)
        series.points[title] = {count: 1000 / found.rate(name) for count, name in names.items()}


async def _bound(bench: Bench, sizes: dict[str, int], tenants: int) -> Side:
    """Return a database under policies, with a conversation and more tenants."""
    place = await bench.place()
    side = await filled(await bench.keep(policed(place.url)), place.raw, sizes)
    for statement in GROW:
        values = {"tenants": tenants, "model": side.conversation}
        await side.raw.execute(statement.encode(), values, prepare=False)
    return side
