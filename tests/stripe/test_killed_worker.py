from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from agentdb import Database
from agentdb.stripe.rows import Delivery
from tests.stripe import payloads
from tests.stripe.test_events import deliver
from tests.worker.queue import until

LEASE = timedelta(seconds=1)

WORKER = f"""
import asyncio, sys
from datetime import timedelta
from agentdb import Database

async def work(url):
    async with Database(url) as db:
        async with db.begin_system(reason="test") as uow:
            await uow.stripe_event_dispatch.claim(lease=timedelta(seconds={LEASE.seconds}))
        async with db.begin_system(reason="test") as uow:
            await uow.security_events.record("effect")
            print("at work", flush=True)
            await asyncio.sleep(3600)

asyncio.run(work(sys.argv[1]))
"""


@contextmanager
def worker_at_work(url: str) -> Generator[subprocess.Popen[str]]:
    """Yield a process that has claimed, and whose effect is not committed; kill it at the end."""
    command = [sys.executable, "-c", WORKER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            yield process
        finally:
            process.kill()


@pytest.mark.agentdb_commits
async def test_what_a_killed_worker_has_claimed_is_handled_once(
    agentdb_url: str, agentdb_database: Database
) -> None:
    """Its effect is rolled back; when its lease is over, another does the work and completes it."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await deliver(uow, payloads.ALL[0], ["a"])
    with worker_at_work(agentdb_url):
        pass
    taken: list[Delivery] = []

    async def due() -> bool:
        async with agentdb_database.begin_system(reason="test") as uow:
            taken.extend(await uow.stripe_event_dispatch.claim())
        return bool(taken)

    await until(due)
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.security_events.record("effect")
        ((work, event),) = taken
        await uow.stripe_event_dispatch.complete(work.id, work.attempts)

    assert work.attempts == 2
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.security_events.count() == 1
        stored = await uow.stripe_events.require(event.id)
        assert stored.processing_outcome == "processed"
