from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from agentdb.database import Database
from agentdb.errors import ConfigurationError, InvalidValueError, LeaseLostError
from agentdb.ledger.queue.repository import ConversationRunQueueItemRepository
from agentdb.ledger.queue.rows import QueueItem
from agentdb.models import TenantAccount
from agentdb.settings import Settings
from agentdb.testing import kill_backend
from tests.ledger.queues import CHAT, queued
from tests.test_single_unit import waiting_processes
from tests.worker.queue import PATIENCE, cancelled_by, fill, row, until

pytestmark = pytest.mark.agentdb_commits

SHORT = timedelta(milliseconds=300)


async def test_a_block_that_ends_completes_its_run(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The item tells its tenant, so that the block can begin units of it."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    async with agentdb_database.claim_run() as item:
        assert (item.id, item.tenant_id, item.payload) == (first, agentdb_tenant.id, {"run": 0})
        assert (await row(agentdb_database, first)).status == "running"

    assert (await row(agentdb_database, first)).status == "completed"
    assert (await row(agentdb_database, second)).status == "ready"


async def test_a_block_that_raises_fails_its_run_with_a_retry(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The exception goes on, and the run keeps what it was."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with pytest.raises(ValueError, match="boom"):
        async with agentdb_database.claim_run():
            raise ValueError("boom \x00 \ud800" + "x" * 2000)

    stored = await row(agentdb_database, key)
    assert (stored.status, stored.attempt) == ("ready", 1)
    assert stored.error is not None
    assert (stored.error["code"], stored.error["type"]) == ("error", "ValueError")
    assert stored.error["message"].startswith("boom \ufffd ?xxx")
    assert len(stored.error["message"]) == 1000


@pytest.mark.agentdb_only("postgres")
async def test_a_connection_lost_at_the_end_of_a_block_leaves_no_run_behind(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Nothing was committed, which is found out: no other worker has to wait for the lease."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    claimed, ends = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with agentdb_database.claim_run(heartbeat=False):
            claimed.set()
            await ends.wait()
            raise ZeroDivisionError

    working = asyncio.ensure_future(work())
    await asyncio.wait_for(claimed.wait(), PATIENCE)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as holder:
        run = await holder.conversation_run_queue_items.require(key)
        await holder.agent_conversations.require(run.conversation_id, lock=True)
        ends.set()
        await until(lambda: ended_while_waiting(agentdb_database))
    with pytest.raises(ZeroDivisionError):
        await working

    stored = await row(agentdb_database, key)
    assert (stored.status, stored.attempt) == ("ready", 1)


async def ended_while_waiting(database: Database) -> bool:
    """End the processes of the server that wait for another, and return whether there were any."""
    found = await waiting_processes(database)
    for process in found:
        kill_backend(database.url, process)
    return bool(found)


async def test_a_block_that_always_raises_ends_as_failed(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """After as many attempts as were agreed."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with agentdb_database.claim_run(max_attempts=3):
                _ = 1 / 0

    assert (await row(agentdb_database, key)).status == "failed"


async def test_without_a_run_the_block_is_entered_when_the_time_is_over(
    agentdb_database: Database,
) -> None:
    """With None; a timeout of 0 is one look."""
    async with agentdb_database.claim_run(timeout=0) as item:
        assert item is None
    async with agentdb_database.claim_run(timeout=0.05, poll=0.01) as item:
        assert item is None


async def test_a_waiting_claim_hears_of_a_run_at_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A commit of this process wakes it, long before the next poll."""

    async def work() -> int:
        async with asyncio.timeout(PATIENCE), agentdb_database.claim_run(poll=1000) as item:
            return item.id

    worker = asyncio.create_task(work())
    await asyncio.sleep(0)
    (key,) = await fill(agentdb_database, agentdb_tenant.id)

    assert await worker == key


@pytest.mark.agentdb_only("postgres")
async def test_a_waiting_claim_hears_of_a_run_of_another_process(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """Another database object stands for it: it has connections and hints of its own."""
    settings = Settings(notify=True)
    async with (
        Database(agentdb_url, settings=settings) as here,
        Database(agentdb_url, settings=settings) as there,
    ):

        async def work() -> int:
            async with asyncio.timeout(PATIENCE), here.claim_run(poll=1000) as item:
                return item.id

        worker = asyncio.create_task(work())
        await asyncio.sleep(0)
        (key,) = await fill(there, agentdb_tenant.id)

        assert await worker == key


async def test_a_waiting_claim_finds_a_run_by_polling(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """Polling is the truth; hints are a gain."""
    async with Database(agentdb_url) as here, Database(agentdb_url) as there:

        async def work() -> int:
            async with asyncio.timeout(PATIENCE), here.claim_run(poll=0.01) as item:
                return item.id

        worker = asyncio.create_task(work())
        (key,) = await fill(there, agentdb_tenant.id)

        assert await worker == key


async def test_a_lease_is_kept_alive_while_the_block_runs(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Longer than it lasts, and nobody takes the run over."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    async with agentdb_database.claim_run(lease=SHORT) as item:
        assert item.started_at is not None
        end = item.started_at + 3 * SHORT

        async def renewed() -> bool:
            started = (await row(agentdb_database, key)).started_at
            return started is not None and started > end

        await until(renewed)
    assert (await row(agentdb_database, key)).attempt == 1


async def test_a_cancelled_run_cancels_its_block(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The block learns of it at the next heartbeat, and the caller gets the reason."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    with pytest.raises(LeaseLostError) as caught:
        async with agentdb_database.claim_run(lease=SHORT):
            await cancelled_by(agentdb_database, agentdb_tenant.id, first)
            await asyncio.sleep(PATIENCE)

    assert caught.value.reason == "cancelled"
    assert (await row(agentdb_database, first)).status == "cancelled"
    assert (await row(agentdb_database, second)).status == "ready"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing is left of the cancellation


async def test_a_block_that_swallows_the_cancellation_still_gets_the_reason(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """And its run is not completed."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with pytest.raises(LeaseLostError):
        async with agentdb_database.claim_run(lease=SHORT):
            await cancelled_by(agentdb_database, agentdb_tenant.id, key)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(PATIENCE)

    assert (await row(agentdb_database, key)).status == "cancelled"


async def test_a_completion_that_comes_late_is_refused(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Also without heartbeats: the fence is in the database."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with pytest.raises(LeaseLostError) as caught:
        async with agentdb_database.claim_run(heartbeat=False) as item:
            assert item.started_at is not None
            async with agentdb_database.begin_system(reason="test") as uow:
                later = item.started_at + timedelta(hours=1)
                (other,) = await uow.conversation_run_queue_items.claim(now=later)
            assert (other.id, other.attempt) == (key, 2)

    assert caught.value.reason == "reclaimed"
    assert (await row(agentdb_database, key)).status == "running"


async def test_a_cancelled_task_leaves_its_run_to_others_at_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The cancellation goes on, when the run is ready again."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    at_work = asyncio.Event()

    async def work() -> None:
        async with agentdb_database.claim_run():
            at_work.set()
            await asyncio.sleep(PATIENCE)

    worker = asyncio.create_task(work())
    await at_work.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker

    stored = await row(agentdb_database, key)
    assert stored.status == "ready"
    assert stored.error is not None
    assert stored.error["code"] == "cancelled"


async def test_a_task_that_is_cancelled_while_it_completes_has_completed(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What ends the run runs to its end; then the cancellation is heard."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    complete = ConversationRunQueueItemRepository.complete
    completing, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: Any, *arguments: Any, **options: Any) -> QueueItem:
        completing.set()
        await go_on.wait()
        return await complete(self, *arguments, **options)

    monkeypatch.setattr(ConversationRunQueueItemRepository, "complete", slow)

    async def work() -> None:
        async with agentdb_database.claim_run():
            pass

    worker = asyncio.create_task(work())
    await completing.wait()
    worker.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await worker

    assert (await row(agentdb_database, key)).status == "completed"


async def test_a_task_that_is_cancelled_while_it_claims_gives_the_run_back(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left to the lease, even if the claim commits after the cancellation."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    claim = ConversationRunQueueItemRepository.claim
    claiming, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: Any, **options: Any) -> list[QueueItem]:
        claiming.set()
        await go_on.wait()
        return await claim(self, **options)

    monkeypatch.setattr(ConversationRunQueueItemRepository, "claim", slow)

    async def work() -> None:
        async with agentdb_database.claim_run(max_attempts=1):
            raise AssertionError("the block was entered")

    worker = asyncio.create_task(work())
    await claiming.wait()
    worker.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await worker

    stored = await row(agentdb_database, key)
    assert (stored.status, stored.error) == ("ready", {"code": "released"})


async def give_up(database: Database, item: QueueItem) -> None:
    """Fail a run for good."""
    async with database.begin(tenant=item.tenant_id) as uow:
        await uow.conversation_run_queue_items.fail(
            item.id, item.attempt, {"code": "hopeless"}, retry=False
        )


async def test_a_block_may_end_its_run_with_its_last_writes(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Both commit or neither; the end of the block and the heartbeats then leave it alone."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    async with agentdb_database.claim_run(lease=SHORT) as item:
        async with agentdb_database.begin(tenant=item.tenant_id) as uow:
            await uow.conversation_run_queue_items.hold(item.id, item.attempt)
            await uow.agent_conversations.get_or_create("written", "triage")
            await uow.conversation_run_queue_items.complete(item.id, item.attempt)
        await asyncio.sleep(SHORT.total_seconds())
    async with agentdb_database.claim_run(lease=SHORT) as item:
        await give_up(agentdb_database, item)

    assert (await row(agentdb_database, first)).status == "completed"
    assert (await row(agentdb_database, second)).error == {"code": "hopeless"}


async def test_a_claim_is_for_one_tenant_where_one_is_named(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The runs of others stay."""
    await fill(agentdb_database, agentdb_tenant.id)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create_with_free_slug("Other")
    async with agentdb_database.claim_run(timeout=0, tenant=other.id) as item:
        assert item is None
    (key,) = await fill(agentdb_database, other.id)
    async with agentdb_database.claim_run(timeout=0, tenant=other.id) as item:
        assert item is not None
        assert item.id == key


async def test_a_claim_is_entered_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A second block would end another's run."""
    await fill(agentdb_database, agentdb_tenant.id)
    claim = agentdb_database.claim_run()
    async with claim:
        with pytest.raises(ConfigurationError):
            await claim.__aenter__()


WRONG: list[dict[str, Any]] = [
    *({"lease": value} for value in (timedelta(0), timedelta.max, 300, None, "3")),
    *({"max_attempts": value} for value in (0, 1.5, "3", None)),
    *({"poll": value} for value in (0.0, -1, "1", None, float("nan"))),
    *({"timeout": value} for value in (-1, "5", float("nan"))),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_terms_that_cannot_work_are_refused(
    agentdb_database: Database, wrong: dict[str, Any]
) -> None:
    """Before anything is claimed."""
    with pytest.raises(InvalidValueError):
        agentdb_database.claim_run(**wrong)


async def test_runs_that_a_rolled_back_unit_queued_are_not_claimed(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Only what is committed is there."""
    with pytest.raises(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await queued(uow, 1, CHAT)
            _ = 1 / 0
    async with agentdb_database.claim_run(timeout=0) as item:
        assert item is None
