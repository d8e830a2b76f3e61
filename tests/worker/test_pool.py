from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.ledger.queue.repository import MAX_CLAIMED
from agentdb.ledger.queue.rows import QueueItem
from agentdb.models import TenantAccount
from agentdb.worker import Terms, Worker
from tests.worker.queue import PATIENCE, cancelled_by, fill, row, until

pytestmark = pytest.mark.agentdb_commits


WRONG: list[dict[str, Any]] = [
    {"slots": 0},
    {"slots": True},
    {"slots": "3"},
    {"drain": -1.0},
    {"drain": None},
    {"drain": "5"},
]


class Recorder:
    """A handler that notes what it is given, and waits until it may go on."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.at_work = 0
        self.most = 0
        self.go_on = asyncio.Event()

    async def __call__(self, _: Database, item: QueueItem) -> None:
        """Work on a run."""
        self.seen.append(item.id)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.go_on.wait()
        finally:
            self.at_work -= 1

    async def begun(self, count: int) -> None:
        """Wait until so many runs have begun."""

        async def enough() -> bool:
            return len(self.seen) >= count

        await until(enough)


async def test_a_worker_works_on_as_many_runs_as_it_has_slots(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each once, and in the order of their ids within a conversation."""
    ids = [await fill(agentdb_database, agentdb_tenant.id, 3, f"chat-{n}") for n in range(4)]
    handler = Recorder()
    worker = Worker(agentdb_database, handler, slots=3, terms=Terms(poll=0.05))
    working = asyncio.create_task(worker.run())
    await handler.begun(3)
    assert worker.running == 3
    handler.go_on.set()
    await handler.begun(12)
    worker.stop()

    assert await working is True
    assert handler.most == 3
    assert sorted(handler.seen) == sorted(key for keys in ids for key in keys)
    for keys in ids:
        assert [key for key in handler.seen if key in keys] == keys
        assert [(await row(agentdb_database, key)).status for key in keys] == ["completed"] * 3


async def test_a_run_that_fails_is_tried_again_and_the_worker_goes_on(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its exception is logged; it fails for good after its attempts."""
    poison, fine = await fill(agentdb_database, agentdb_tenant.id, 2)
    done = asyncio.Event()

    async def handler(_: Database, item: QueueItem) -> None:
        if item.id == poison:
            raise ValueError("boom")
        done.set()

    worker = Worker(agentdb_database, handler, terms=Terms(poll=0.05, max_attempts=2))
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    worker.stop()
    assert await working is True

    stored = await row(agentdb_database, poison)
    assert (stored.status, stored.attempt) == ("failed", 2)
    assert (await row(agentdb_database, fine)).status == "completed"
    told = [r.getMessage() for r in caplog.records if r.name.startswith("agentdb.worker")]
    assert told == [f"run {poison} failed at attempt {n}" for n in (1, 2)]


async def test_a_stopped_worker_waits_for_what_runs_and_claims_no_more(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Also where all slots are taken."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    handler = Recorder()
    worker = Worker(agentdb_database, handler, terms=Terms(poll=0.05))
    working = asyncio.create_task(worker.run())
    await handler.begun(1)
    worker.stop()
    await asyncio.sleep(0)
    assert not working.done()
    handler.go_on.set()

    assert await working is True
    assert (await row(agentdb_database, first)).status == "completed"
    assert (await row(agentdb_database, second)).status == "ready"


async def test_runs_that_outlast_the_drain_are_ready_for_others(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """They are cancelled, and the worker says so; it was no failure, even at the last attempt."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    handler = Recorder()
    worker = Worker(agentdb_database, handler, terms=Terms(max_attempts=1), drain=0.0)
    working = asyncio.create_task(worker.run())
    await handler.begun(1)
    worker.stop()

    assert await working is False
    assert handler.at_work == 0
    stored = await row(agentdb_database, key)
    assert (stored.status, stored.error) == ("ready", {"code": "released"})


async def test_a_cancelled_worker_cancels_its_runs(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """None of them is left to its lease."""
    ids = [(await fill(agentdb_database, agentdb_tenant.id, 1, f"c{n}"))[0] for n in range(2)]
    handler = Recorder()
    worker = Worker(agentdb_database, handler, slots=2, terms=Terms(max_attempts=1))
    working = asyncio.create_task(worker.run())
    await handler.begun(2)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert [(await row(agentdb_database, key)).status for key in ids] == ["ready"] * 2


async def test_a_run_that_fails_while_its_worker_leaves_has_failed(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Only what the worker cancelled is given back."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    begun = asyncio.Event()

    async def handler(_: Database, __: QueueItem) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("boom") from None

    worker = Worker(agentdb_database, handler, terms=Terms(max_attempts=1), drain=0.0)
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    worker.stop()

    assert await working is False
    assert (await row(agentdb_database, key)).status == "failed"


async def test_a_worker_may_have_more_slots_than_a_claim_takes(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It claims several times."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    handler = Recorder()
    handler.go_on.set()
    worker = Worker(agentdb_database, handler, slots=MAX_CLAIMED + 1)
    working = asyncio.create_task(worker.run())
    await handler.begun(1)
    worker.stop()

    assert await working is True
    assert (await row(agentdb_database, key)).status == "completed"


async def test_a_worker_outlives_a_run_that_a_user_cancels(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It goes on with the next run of the conversation."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    handler = Recorder()
    terms = Terms(lease=timedelta(milliseconds=300), poll=0.05)
    worker = Worker(agentdb_database, handler, slots=1, terms=terms)
    working = asyncio.create_task(worker.run())
    await handler.begun(1)
    await cancelled_by(agentdb_database, agentdb_tenant.id, first)
    await handler.begun(2)
    handler.go_on.set()
    worker.stop()

    assert await working is True
    assert handler.seen == [first, second]
    assert f"run {first}: the claim of the run has ended: cancelled" in caplog.messages


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_a_worker_refuses_what_cannot_be(
    agentdb_database: Database, wrong: dict[str, Any]
) -> None:
    """No slot, or less than no time."""
    with pytest.raises(InvalidValueError):
        Worker(agentdb_database, Recorder(), **wrong)
