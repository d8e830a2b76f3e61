"""Claim a run and complete it, by four workers: at growing backlogs, and behind a hot conversation.

The backlog is loaded by SQL, as the queue would have it: the oldest run of a conversation is ready,
the others wait. The baseline is the same queue on the driver: the claim in a transaction, and the
completion in another one that locks the conversation first, its statements sent in one pipeline.
In single units, which workers use, agentdb takes one round trip for each, else two. A worker with
ten slots claims ten runs at a time, and completes each by itself: that is a case too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from agentdb import Database
from benchmarks.harness import (
    Bench,
    Case,
    Comparison,
    Goal,
    Raw,
    Role,
    Series,
    at_once,
    connect,
    conversation_in,
)
from benchmarks.peers import queues
from benchmarks.peers.queues import Shape

WORKERS = 4
CYCLES = 200
"""Runs that all workers together end in one turn, at the most."""
PATIENCE = 2.0
"""Seconds after which a turn ends."""
PER_CONVERSATION = 10
SLOTS = 10
"""Runs of a claim, where a worker works on many at once."""

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
CLAIM = """
    UPDATE conversation_run_queue_items
    SET status = 'running', started_at = clock_timestamp(), attempt_count = attempt_count + 1
    WHERE id = ANY(ARRAY(
        SELECT id FROM conversation_run_queue_items
        WHERE status = 'ready' ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED))
    RETURNING id, conversation_id, attempt_count, payload_json
"""
LOCK = "SELECT id FROM agent_conversations WHERE id = %s FOR NO KEY UPDATE"
COMPLETE = """
    UPDATE conversation_run_queue_items
    SET status = 'completed', completed_at = clock_timestamp()
    WHERE id = %s AND status = 'running' AND attempt_count = %s RETURNING id
"""
PROMOTE = """
    UPDATE conversation_run_queue_items SET status = 'ready'
    WHERE id = (
        SELECT id FROM conversation_run_queue_items
        WHERE conversation_id = %s AND status = 'queued' ORDER BY id LIMIT 1)
    RETURNING id
"""

BASE = "psycopg, head marked, pipelined"
PROCRASTINATE, PGQUEUER = "procrastinate", "pgqueuer, one by one"
BACKLOGS = (100, 1000, 10_000, 100_000)
HOT = "behind 50,000 runs of one conversation"


def title(backlog: int) -> str:
    """Return the title of the comparison at a backlog."""
    return f"a backlog of {backlog:,}"


OURS, MANY = "agentdb, single units", f"agentdb, {SLOTS} a claim"
WHOLE = "agentdb"
FLAT, SMALL = "agentdb, backlogs of 100 and 100,000 in turns", "a backlog of 100"
LEAST, MOST = title(BACKLOGS[0]), title(BACKLOGS[-1])
GOALS = (
    *(Goal(shape, BASE, 0.75, OURS) for shape in (LEAST, MOST, HOT)),
    Goal(FLAT, SMALL, 0.9, OURS),
    Goal(LEAST, PROCRASTINATE, 2.5, OURS),
    Goal(MOST, PROCRASTINATE, 15, OURS),
    Goal(HOT, PROCRASTINATE, 300, OURS),
    *(Goal(shape, PGQUEUER, 1.2, OURS) for shape in (LEAST, MOST)),
)

Cycle = Callable[[int], Awaitable[int]]
"""A worker claims runs and completes them; returns how many there were."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of ours, in a database of its own."""

    raw: Raw
    model: UUID
    workers: Sequence[Raw]

    async def load(self, shape: Shape) -> None:
        """Replace what is queued, in copies of a conversation."""
        await self.raw.execute("TRUNCATE conversation_run_queue_items")
        await self.raw.execute("DELETE FROM agent_conversations WHERE id <> %s", [self.model])
        for number, (conversations, runs) in enumerate(shape):
            values = {"model": self.model, "label": f"{number}-"}
            await self.raw.execute(CONVERSATIONS, {**values, "conversations": conversations})
            await self.raw.execute(RUNS, {**values, "runs": runs})
        await self.raw.execute("VACUUM ANALYZE agent_conversations, conversation_run_queue_items")

    async def cycle(self, worker: int) -> int:
        """Claim and complete a run on the driver."""
        raw = self.workers[worker]
        async with raw.transaction():
            taken = await (await raw.execute(CLAIM)).fetchone()
        if taken is None:
            return 0
        item, conversation, attempt, _ = taken
        async with raw.pipeline(), raw.transaction():
            await raw.execute(LOCK, [conversation])
            await raw.execute(COMPLETE, [item, attempt])
            await raw.execute(PROMOTE, [conversation])
        return 1


async def our_cycle(
    database: Database, _worker: int, *, limit: int = 1, single: bool = True
) -> int:
    """Claim and complete by the verbs, each in a unit of its own: a single one, as workers do."""
    async with database.begin_system(reason="benchmark", single=single) as uow:
        taken = await uow.conversation_run_queue_items.claim(limit=limit)
    for item in taken:
        async with database.begin(tenant=item.tenant_id, single=single) as uow:
            await uow.conversation_run_queue_items.complete(item.id, item.attempt)
    return len(taken)


async def work_off(cycle: Cycle, cycles: int) -> int:
    """Let the workers go through cycles until they are used up, nothing is ready, or time is up."""
    left = iter(range(cycles))
    end = time.monotonic() + PATIENCE

    async def work(worker: int) -> int:
        done = 0
        for _ in left:
            done += await cycle(worker)
            if time.monotonic() > end:
                break
        return done

    done = await at_once(range(WORKERS), work)
    if not done:
        raise SystemExit("the queue has run dry: a turn has measured nothing")
    return done


@dataclass(frozen=True, slots=True)
class Way:
    """A queue that takes part: how it is loaded, and what its workers do."""

    name: str
    role: Role
    load: Callable[[Shape], Awaitable[None]]
    cycle: Cycle
    at_once: int = 1

    def case(self, shape: Shape, runs: int, *, again: bool) -> Case:
        """Return its case; with *again*, loaded anew for each turn."""
        prepare = partial(self.load, shape) if again else None
        cycles = max(runs // self.at_once, 1)
        return Case(self.name, partial(work_off, self.cycle, cycles), self.role, prepare)


async def measure(bench: Bench) -> None:
    """Measure each shape; small backlogs are loaded anew for each turn."""
    ways = await _ways(bench)
    series = Series("claim and complete a run", "runs that wait")
    bench.series.append(series)
    for backlog in BACKLOGS[: bench.size(len(BACKLOGS), 1)]:
        shape = [(backlog // PER_CONVERSATION, PER_CONVERSATION)]
        found = await _compare(bench, ways, title(backlog), shape)
        for name in found.turns:
            series.points.setdefault(name, {})[backlog] = 1000 / found.rate(name)
    await _flat(bench, next(way for way in ways if way.name == OURS))
    hot = [(1, bench.size(50_000, 50)), (bench.size(500, 5), PER_CONVERSATION)]
    await _compare(bench, ways, HOT, hot)


async def _flat(bench: Bench, large: Way) -> None:
    """Measure agentdb at the least and at the largest backlog, in two databases in turns."""
    place = await bench.place()
    _, model = await conversation_in(place.database)
    queue = Queue(place.raw, model, ())
    small = Way(SMALL, "agentdb", queue.load, partial(our_cycle, place.database))
    least = [(BACKLOGS[0] // PER_CONVERSATION, PER_CONVERSATION)]
    most = [(bench.size(BACKLOGS[-1], BACKLOGS[0]) // PER_CONVERSATION, PER_CONVERSATION)]
    await large.load(most)
    cycles = BACKLOGS[0] // 2
    cases = [small.case(least, cycles, again=True), large.case(most, cycles, again=bench.quick)]
    await bench.compare(FLAT, cases, unit="runs")


async def _ways(bench: Bench) -> list[Way]:
    place = await bench.place()
    _, model = await conversation_in(place.database)
    ours = Queue(place.raw, model, ())
    twin = place.twin()
    _, model = await conversation_in(await bench.keep(Database(twin)))
    theirs = Queue(
        await bench.keep(await connect(twin)), model, await place.connections(WORKERS, twin)
    )
    ways = [
        Way(BASE, "baseline", theirs.load, theirs.cycle),
        Way(WHOLE, "agentdb", ours.load, partial(our_cycle, place.database, single=False)),
        Way(OURS, "agentdb", ours.load, partial(our_cycle, place.database)),
        Way(MANY, "agentdb", ours.load, partial(our_cycle, place.database, limit=SLOTS), SLOTS),
    ]
    jobs = await bench.open(PROCRASTINATE, queues.procrastinate(place.other(), WORKERS))
    if jobs is not None:
        ways.append(Way(PROCRASTINATE, "peer", jobs.load, jobs.cycle))
    single = await bench.open(PGQUEUER, queues.pgqueuer(place.other(), WORKERS))
    if single is not None:
        ways.append(Way(PGQUEUER, "peer", single.load, single.cycle))
    return ways


async def _compare(bench: Bench, ways: list[Way], title: str, shape: Shape) -> Comparison:
    waiting = sum(conversations * runs for conversations, runs in shape)
    ready = sum(conversations for conversations, _ in shape)
    ways = [way for way in ways if way.at_once * WORKERS <= ready]
    # What a turn takes from a large backlog does not change its size.
    again = waiting < CYCLES * 2 * (bench.rounds + 1)
    cycles = min(CYCLES, waiting // 2)
    for way in ways:
        await way.load(shape)
    cases = [way.case(shape, cycles, again=again) for way in ways]
    return await bench.compare(title, cases, unit="runs")
