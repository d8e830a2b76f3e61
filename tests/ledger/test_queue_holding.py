from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentdb.errors import InvalidValueError, LeaseLostError
from agentdb.ledger.queue.rows import QueueItem
from agentdb.testing import FrozenClock
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.queues import CHAT, claimed, queued, states

MINUTE = timedelta(minutes=1)
LEASE = 5 * MINUTE


async def fenced(uow: UnitOfWork, key: int, attempt: int, reason: str) -> None:
    """Expect every fenced verb to refuse for one reason, and to write nothing."""
    queue = uow.conversation_run_queue_items
    before = await queue.all()
    seen = [(row.status, row.attempt_count, row.started_at, row.error_json) for row in before]
    calls = [
        queue.heartbeat(key, attempt),
        queue.hold(key, attempt),
        queue.complete(key, attempt),
        queue.fail(key, attempt, {"code": "late"}),
    ]
    for call in calls:
        with pytest.raises(LeaseLostError) as caught:
            await call
        assert caught.value.reason == reason
    after = await queue.all()
    assert [(r.status, r.attempt_count, r.started_at, r.error_json) for r in after] == seen


async def test_a_completed_run_makes_the_next_one_ready(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """In the same unit, and in the order of the ids."""
    ids = await queued(agentdb_uow, 3)
    item = await claimed(agentdb_uow)
    agentdb_freeze_now.advance(MINUTE)

    done = await agentdb_uow.conversation_run_queue_items.complete(item.id, item.attempt)

    assert (done.status, done.completed_at) == ("completed", agentdb_freeze_now())
    assert list((await states(agentdb_uow)).values()) == ["completed", "ready", "queued"]
    assert (await claimed(agentdb_uow)).id == ids[1]


async def test_a_heartbeat_renews_the_lease(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """A run whose worker is heard of in time is not taken over."""
    await queued(agentdb_uow, 1)
    queue = agentdb_uow.conversation_run_queue_items
    item = await claimed(agentdb_uow)
    for _ in range(3):
        agentdb_freeze_now.advance(4 * MINUTE)
        alive = await queue.heartbeat(item.id, item.attempt)
        assert alive.started_at == agentdb_freeze_now()
        assert await queue.claim(lease=LEASE) == []


async def test_a_failed_run_is_tried_again_in_its_place(agentdb_uow: UnitOfWork) -> None:
    """It stays the head, keeps its error, and counts its attempts."""
    first, _ = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    item = await claimed(agentdb_uow)

    failed = await queue.fail(item.id, item.attempt, {"code": "boom", "at": 1})

    assert (failed.status, failed.error, failed.completed_at) == (
        "ready",
        {"code": "boom", "at": 1},
        None,
    )
    again = await claimed(agentdb_uow)
    assert (again.id, again.attempt, again.error) == (first, 2, {"code": "boom", "at": 1})


async def test_a_poison_run_fails_at_the_last_attempt(agentdb_uow: UnitOfWork) -> None:
    """It is not lost, and the next run of the conversation has its turn."""
    poison, _ = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    seen: list[QueueItem] = []
    for attempt in range(1, 4):
        item = await claimed(agentdb_uow)
        assert (item.id, item.attempt) == (poison, attempt)
        error = {"attempt": attempt}
        seen.append(await queue.fail(item.id, item.attempt, error, max_attempts=3))

    assert [item.status for item in seen] == ["ready", "ready", "failed"]
    assert seen[-1].error == {"attempt": 3}
    assert seen[-1].completed_at is not None
    assert (await claimed(agentdb_uow)).id != poison


async def test_a_run_can_fail_for_good_at_once(agentdb_uow: UnitOfWork) -> None:
    """Without a retry, whatever attempts are left."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)

    failed = await agentdb_uow.conversation_run_queue_items.fail(
        item.id, item.attempt, {}, retry=False
    )

    assert failed.status == "failed"
    assert list((await states(agentdb_uow)).values()) == ["failed", "ready"]


async def test_a_completed_run_keeps_the_error_of_an_earlier_attempt(
    agentdb_uow: UnitOfWork,
) -> None:
    """Who looks for flaky runs finds them."""
    await queued(agentdb_uow, 1)
    queue = agentdb_uow.conversation_run_queue_items
    item = await claimed(agentdb_uow)
    await queue.fail(item.id, item.attempt, {"code": "flaky"})
    item = await claimed(agentdb_uow)

    assert (await queue.complete(item.id, item.attempt)).error == {"code": "flaky"}


@pytest.mark.parametrize("error", ["text", None, ["list"], {"nul": "\x00"}])
async def test_an_error_is_an_object_that_both_databases_keep(
    agentdb_uow: UnitOfWork, error: Any
) -> None:
    """Anything else is refused, and the run is still held."""
    await queued(agentdb_uow, 1)
    item = await claimed(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items
    with pytest.raises(InvalidValueError):
        await queue.fail(item.id, item.attempt, error)

    assert (await queue.hold(item.id, item.attempt)).status == "running"


async def test_a_cancelled_claim_is_told_so(agentdb_uow: UnitOfWork) -> None:
    """The worker learns of it at its next call, whichever that is."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)
    await agentdb_uow.conversation_run_queue_items.cancel(item.id)

    await fenced(agentdb_uow, item.id, item.attempt, "cancelled")


async def test_a_reclaimed_claim_is_told_so(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """The fence is the attempt: the row runs, but for somebody else."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)
    agentdb_freeze_now.advance(LEASE)
    (other,) = await agentdb_uow.conversation_run_queue_items.claim(lease=LEASE)

    assert (other.id, other.attempt) == (item.id, 2)
    await fenced(agentdb_uow, item.id, item.attempt, "reclaimed")


async def test_a_finished_claim_is_told_so(agentdb_uow: UnitOfWork) -> None:
    """A completion is accepted once."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)
    await agentdb_uow.conversation_run_queue_items.complete(item.id, item.attempt)

    await fenced(agentdb_uow, item.id, item.attempt, "finished")


async def test_a_run_that_waits_again_is_no_longer_the_workers(agentdb_uow: UnitOfWork) -> None:
    """Between its failure and the next claim nobody holds it."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)
    await agentdb_uow.conversation_run_queue_items.fail(item.id, item.attempt, {})

    await fenced(agentdb_uow, item.id, item.attempt, "reclaimed")


async def test_a_run_that_is_gone_is_told_so(agentdb_uow: UnitOfWork) -> None:
    """As is one that never was."""
    await queued(agentdb_uow, 1)

    await fenced(agentdb_uow, 999_999, 1, "missing")


async def test_an_error_of_a_fence_leaves_the_unit_usable(agentdb_uow: UnitOfWork) -> None:
    """What else it wrote commits."""
    await queued(agentdb_uow, 1)
    with pytest.raises(LeaseLostError):
        await agentdb_uow.conversation_run_queue_items.complete(999_999, 1)

    item = await agentdb_uow.conversation_run_queue_items.enqueue(CHAT, {"after": True})
    assert item.payload == {"after": True}


async def test_entities_of_the_unit_follow_its_verbs(agentdb_uow: UnitOfWork) -> None:
    """Those of the run, and of the one that became ready."""
    first, second = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    rows = [await queue.require(first), await queue.require(second)]
    item = await claimed(agentdb_uow)
    await queue.complete(item.id, item.attempt)

    assert [row.status for row in rows] == ["completed", "ready"]
