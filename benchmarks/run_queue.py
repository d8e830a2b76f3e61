"""Claim and complete, four workers: at two backlogs, and behind a hot conversation.

The backlog is loaded by SQL, as the queue would have it: the oldest run of a conversation is ready,
the others wait. Each worker claims in one unit of work and completes in another, as workers do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from uuid import UUID

import psycopg
from harness import conversation_in, fresh_database, run
from rich.console import Console
from rich.table import Table

from agentdb import Database

WORKERS = 4
CYCLES = 400
"""Runs that all workers together end in one round."""

ROUNDS = 3
PER_CONVERSATION = 10

CONVERSATIONS = """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'conversation_key', c.tenant_id || ':' || %(label)s || n))).*
    FROM agent_conversations c CROSS JOIN generate_series(1, %(conversations)s) n
    WHERE c.id = %(model)s
"""
RUNS = """
    INSERT INTO conversation_run_queue_items
        (tenant_id, conversation_id, status, attempt_count, payload_json, created_at)
    SELECT c.tenant_id, c.id, CASE WHEN n = 1 THEN 'ready' ELSE 'queued' END, 0, '{}', now()
    FROM generate_series(1, %(runs)s) n
    CROSS JOIN agent_conversations c
    WHERE c.conversation_key LIKE c.tenant_id || ':' || %(label)s || '%%'
    ORDER BY n, c.id
"""
LEFT = "SELECT count(*) FROM conversation_run_queue_items WHERE status IN ('ready', 'queued')"

Shape = Sequence[tuple[str, int, int]]
"""Label, conversations, and runs of each."""

SHAPES: dict[str, Shape] = {
    "backlog of 100": [("few-", 100 // PER_CONVERSATION, PER_CONVERSATION)],
    "backlog of 100,000": [("many-", 100_000 // PER_CONVERSATION, PER_CONVERSATION)],
    "50,000 of one conversation": [("hot-", 1, 50_000), ("cool-", 500, PER_CONVERSATION)],
}


async def load(raw: psycopg.AsyncConnection, model: UUID, shape: Shape) -> int:
    """Replace the queue, in copies of a conversation, and return how many runs wait."""
    await raw.execute("TRUNCATE conversation_run_queue_items")
    await raw.execute("DELETE FROM agent_conversations WHERE id <> %s", [model])
    for label, conversations, runs in shape:
        values = {"model": model, "label": label}
        await raw.execute(CONVERSATIONS, {**values, "conversations": conversations})
        await raw.execute(RUNS, {**values, "runs": runs})
    await raw.execute("VACUUM ANALYZE agent_conversations, conversation_run_queue_items")
    row = await (await raw.execute(LEFT)).fetchone()
    assert row is not None  # noqa: S101 -- count(*) has a row
    waiting: int = row[0]
    return waiting


async def cycle(database: Database) -> bool:
    """Claim a run and complete it; return False where none is ready."""
    async with database.begin_system(reason="benchmark") as uow:
        taken = await uow.conversation_run_queue_items.claim()
    for item in taken:
        async with database.begin(tenant=item.tenant_id) as uow:
            await uow.conversation_run_queue_items.complete(item.id, item.attempt)
    return bool(taken)


async def work(database: Database, left: list[None]) -> int:
    """Go through cycles until they are used up or nothing is ready."""
    done = 0
    while left:
        left.pop()
        if not await cycle(database):
            break
        done += 1
    return done


async def rate(database: Database, cycles: int) -> float:
    """Return cycles a second of all workers."""
    left: list[None] = [None] * cycles
    started = time.perf_counter()
    done = await asyncio.gather(*(work(database, left) for _ in range(WORKERS)))
    return sum(done) / (time.perf_counter() - started)


async def main() -> None:
    """Measure each shape, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in SHAPES}
    async with fresh_database() as (database, raw):
        _, model = await conversation_in(database)
        await load(raw, model, SHAPES["backlog of 100"])
        await rate(database, 50)  # connections and plans are warm before the first round
        for _ in range(ROUNDS):
            for name, shape in SHAPES.items():
                waiting = await load(raw, model, shape)
                rates[name].append(await rate(database, min(CYCLES, waiting - WORKERS)))
    table = Table("queue", "cycles a second", "ratio", title="claim and complete, 4 workers")
    first = median(rates["backlog of 100"])
    for name, found in rates.items():
        table.add_row(name, f"{median(found):,.0f}", f"{median(found) / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
