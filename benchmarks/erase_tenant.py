"""Erase one tenant among many, and what its export and import take.

Each tenant has 4,000 rows in the tables that grow, loaded by SQL; 200 of them are 800,000 rows. The
raw case deletes the row of the tenant and leaves the rest to the cascades of the foreign keys: it
is the least that a database does, though rows without a foreign key stay behind.
"""

from __future__ import annotations

import io
import time
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from harness import conversation_in, fresh_database, run
from rich.console import Console
from rich.table import Table

from agentdb import Database
from agentdb.operations import erase_tenant, import_tenant, write_export

TENANTS = 200
ROWS = 4000
"""Of each tenant."""
ROUNDS = 7

LOAD = (
    """
    INSERT INTO tenant_accounts (id, slug, name, created_at)
    SELECT gen_random_uuid(), 'loaded-' || n, 'Loaded', now() FROM generate_series(1, %(tenants)s) n
    """,
    """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'tenant_id', t.id, 'conversation_key', t.id || ':' || n))).*
    FROM agent_conversations c
    CROSS JOIN tenant_accounts t CROSS JOIN generate_series(1, 40) n
    WHERE c.id = %(model)s AND t.slug LIKE 'loaded-%%'
    """,
    """
    INSERT INTO conversation_ledger_segments
        (id, tenant_id, conversation_id, segment_index, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, id, 0, now(), now() FROM agent_conversations
    WHERE id <> %(model)s
    """,
    """
    INSERT INTO agent_messages (conversation_id, segment_id, position, role, content, created_at)
    SELECT conversation_id, id, n, 'user', '{"text": "a question about an order"}', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(0, 39) n
    WHERE conversation_id <> %(model)s
    """,
    """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, payload_json, ingested_at)
    SELECT tenant_id, conversation_id, id, 'public_sse_v1', 'message.delta', 's', n, now(),
        '{"delta": "some words"}', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(1, 40) n
    WHERE conversation_id <> %(model)s
    """,
    """
    INSERT INTO activity_events (id, tenant_id, action, created_at, status)
    SELECT gen_random_uuid(), id, 'conversation.created', now(), 'success'
    FROM tenant_accounts CROSS JOIN generate_series(1, 719) n
    WHERE slug LIKE 'loaded-%%'
    """,
    "ANALYZE",
)


async def load(database: Database, raw: psycopg.AsyncConnection) -> list[UUID]:
    """Store the tenants, and return their ids."""
    _, model = await conversation_in(database)
    for statement in LOAD:
        await raw.execute(statement.encode(), {"tenants": TENANTS, "model": model})
    found = await raw.execute("SELECT id FROM tenant_accounts WHERE slug LIKE 'loaded-%'")
    return [row[0] for row in await found.fetchall()]


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return how many seconds some work takes."""
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def erase(database: Database, tenant: UUID, **options: Any) -> None:
    """Erase a tenant, and make sure that it was the whole."""
    counts = await erase_tenant(database, tenant, **options)
    if sum(counts.values()) != ROWS:
        raise SystemExit(f"a tenant had {sum(counts.values())} rows")


async def main() -> None:
    """Measure the cases in turns, each on a tenant that no other has touched."""
    times: dict[str, list[float]] = {}

    async with fresh_database() as (database, raw):
        tenants = iter(await load(database, raw))

        async def cascade(tenant: UUID) -> None:
            await raw.execute("DELETE FROM tenant_accounts WHERE id = %s", [tenant])

        for number in range(ROUNDS + 1):
            file = io.StringIO()
            moved, erased, cascaded = (next(tenants) for _ in range(3))
            export = partial(write_export, database, moved, file, redact=False)
            found = {
                "delete the tenant, by cascade": await timed(partial(cascade, cascaded)),
                "erase_tenant": await timed(partial(erase, database, erased)),
                "erase_tenant, dry run": await timed(partial(erase, database, moved, dry_run=True)),
                "write_export": await timed(export),
                "erase_tenant, batches of 500": await timed(
                    partial(erase, database, moved, batch=500)
                ),
                "import_tenant": await timed(
                    partial(import_tenant, database, file.getvalue().splitlines())
                ),
            }
            if number:  # the first round only warms up
                for name, seconds in found.items():
                    times.setdefault(name, []).append(seconds)
    show(times)


def show(times: dict[str, list[float]]) -> None:
    """Print the medians."""
    table = Table("case", "seconds", "worst", "rows a second", title="4,000 rows among 800,000")
    for name, found in times.items():
        rate = ROWS / median(found)
        table.add_row(name, f"{median(found):.3f}", f"{max(found):.3f}", f"{rate:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
