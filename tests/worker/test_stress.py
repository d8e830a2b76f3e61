from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest
from sqlalchemy import select

from agentdb.conversations.statements import messages
from agentdb.database import Database
from agentdb.ledger.queue.statements import items
from agentdb.models import TenantAccount
from tests.ledger.conversations import begun
from tests.ledger.queues import violations
from tests.sizes import Size
from tests.worker.processes import WorkerProcess
from tests.worker.queue import until

pytestmark = [pytest.mark.agentdb_commits, pytest.mark.timeout(36_000)]

OPTIONS = ("--lease", "1", "--poll", "0.1", "--max-attempts", "1000", "--slots", "4")


@dataclass
class Crew:
    """Worker processes, some of which are killed, stopped and woken."""

    url: str
    folder: Path
    count: int
    chance: random.Random
    workers: list[WorkerProcess] = field(default_factory=list[WorkerProcess])
    asleep: list[WorkerProcess] = field(default_factory=list[WorkerProcess])

    def start(self) -> None:
        """Bring the crew to its number."""
        while len(self.workers) < self.count:
            self.workers.append(WorkerProcess(self.url, self.folder, "hurried", *OPTIONS))

    def kill(self) -> None:
        """Kill one, and start another."""
        self.workers.pop(self.chance.randrange(len(self.workers))).end()
        self.start()

    def stop(self) -> None:
        """Wake who was stopped last time, and stop another."""
        self.wake()
        worker = self.workers.pop(self.chance.randrange(len(self.workers)))
        worker.send(signal.SIGSTOP)
        self.asleep.append(worker)
        self.start()

    def wake(self) -> None:
        """Wake those that were stopped; they are of the crew again, and one too many."""
        for worker in self.asleep:
            worker.send(signal.SIGCONT)
            self.workers.append(worker)
        self.asleep.clear()

    async def drain(self) -> list[int]:
        """Let all come to their ends, and return their exit codes."""
        self.wake()
        for worker in self.workers:
            await worker.says("working")
            worker.send(signal.SIGTERM)
        return [await worker.ended() for worker in self.workers]

    def end(self) -> None:
        """Kill what is left."""
        for worker in (*self.workers, *self.asleep):
            worker.end()


@contextmanager
def crew_of(url: str, folder: Path, count: int) -> Generator[Crew]:
    """Yield a crew at work."""
    crew = Crew(url, folder, count, random.Random(count))  # noqa: S311 -- reproducible
    crew.start()
    try:
        yield crew
    finally:
        crew.end()


async def completed(database: Database) -> int:
    """Count the completed runs."""
    async with database.read(reason="test") as uow:
        queue = uow.conversation_run_queue_items
        return await queue.count(queue.model.status == "completed")


async def fill(database: Database, tenant: UUID, keys: list[str], runs: int) -> None:
    """Queue runs in turns, a hundred in a unit."""
    async with database.begin(tenant=tenant) as uow:
        for key in keys:
            await begun(uow, key)
    for first in range(0, runs, 100):
        async with database.begin(tenant=tenant) as uow:
            for number in range(first, min(first + 100, runs)):
                key = keys[number % len(keys)]
                await uow.conversation_run_queue_items.enqueue(key, {}, max_depth=runs)


async def test_killed_and_stopped_workers_lose_nothing_and_do_nothing_twice(
    agentdb_url: str,
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    tmp_path: Path,
    size: Size,
) -> None:
    """Each run leaves its trace once, and those of a conversation in the order of their ids."""
    runs, shocks = size(150, full=1_000_000), size(8, full=600)
    keys = [f"chat-{n}" for n in range(size(12, full=2_000))]
    await fill(agentdb_database, agentdb_tenant.id, keys, runs // 2)
    with crew_of(agentdb_url, tmp_path, size(3, full=32)) as crew:
        done = 0
        for number in range(shocks):
            # A shock comes when the runs have gone on since the last.
            goal = min(done + max(1, runs // 2 // (shocks + 1)), runs // 2)
            await reached(agentdb_database, goal)
            done = await completed(agentdb_database)
            crew.stop() if number % 6 == 5 or number == 2 else crew.kill()
            assert await violations(agentdb_database) == []
        await fill(agentdb_database, agentdb_tenant.id, keys, runs - runs // 2)
        await reached(agentdb_database, runs)
        assert set(await crew.drain()) == {0}

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        found = await uow.execute(items.select().order_by(items.c.id))
        rows = found.all()
        assert Counter(row.status for row in rows) == {"completed": runs}
        for key in keys:
            conversation = await begun(uow, key)
            expected = [str(row.id) for row in rows if row.conversation_id == conversation]
            mine = messages.c.conversation_id == conversation
            said = select(messages.c.content).where(mine).order_by(messages.c.position)
            assert [row.content["text"] for row in await uow.execute(said)] == expected


async def reached(database: Database, goal: int) -> None:
    """Wait until so many runs are completed, for as long as some are."""
    last, since = -1, monotonic()
    while (now := await completed(database)) < goal:
        if now > last:
            last, since = now, monotonic()
        assert monotonic() - since < 60, f"{now} of {goal} runs are completed, and no more"

        async def more(than: int = now) -> bool:
            return await completed(database) > than

        await until(more)
