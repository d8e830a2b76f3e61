from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from agentdb.conversations.statements import segments
from agentdb.errors import ConflictError, InvalidTransitionError, NotFoundError
from agentdb.ledger.queue.actions import QueueAction
from agentdb.ledger.queue.statements import items
from agentdb.ledger.queue.taking import end_leases, lease_of
from agentdb.operations import truncate_from
from agentdb.testing import FrozenClock
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.conversations import asked, begun
from tests.ledger.queues import CHAT, claimed, queued, states


async def shown(uow: UnitOfWork) -> list[str]:
    """Return the states in the order of the ids."""
    return list((await states(uow)).values())


async def test_cancelling_a_running_run_frees_the_next_at_once(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """It need not wait for the worker."""
    first, second = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    await claimed(agentdb_uow)

    assert await queue.cancel(first) is True
    assert (await queue.require(first)).cancelled_at == agentdb_freeze_now()
    assert (await claimed(agentdb_uow)).id == second


async def test_cancelling_the_head_makes_the_next_one_ready(agentdb_uow: UnitOfWork) -> None:
    """A waiting conversation never lacks a head."""
    first, _, _ = await queued(agentdb_uow, 3)
    await agentdb_uow.conversation_run_queue_items.cancel(first)

    assert await shown(agentdb_uow) == ["cancelled", "ready", "queued"]


async def test_cancelling_behind_the_head_leaves_it(agentdb_uow: UnitOfWork) -> None:
    """The others keep their order."""
    _, second, _ = await queued(agentdb_uow, 3)
    await agentdb_uow.conversation_run_queue_items.cancel(second)

    assert await shown(agentdb_uow) == ["ready", "cancelled", "queued"]


async def test_what_has_ended_is_not_cancelled(agentdb_uow: UnitOfWork) -> None:
    """The first end stays, with its stamp; what does not exist is no run."""
    done, cancelled = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.complete(done, (await claimed(agentdb_uow)).attempt)
    await queue.cancel(cancelled)
    at = (await queue.require(cancelled)).cancelled_at

    assert [await queue.cancel(key) for key in (done, cancelled)] == [False, False]
    assert (await queue.require(cancelled)).cancelled_at == at
    assert (await queue.require(done)).cancelled_at is None
    with pytest.raises(NotFoundError):
        await queue.cancel(cancelled + 1)


async def test_what_runs_can_be_cancelled_by_its_conversation(agentdb_uow: UnitOfWork) -> None:
    """What is ready does not run; the second call finds nothing."""
    await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    assert await queue.cancel_running(CHAT) is False
    item = await claimed(agentdb_uow)

    assert await queue.cancel_running(item.conversation_id) is True
    assert await shown(agentdb_uow) == ["cancelled", "ready"]
    assert await queue.cancel_running(CHAT) is False
    with pytest.raises(NotFoundError):
        await queue.cancel_running("nobody's")


async def test_all_that_waits_can_be_cancelled(agentdb_uow: UnitOfWork) -> None:
    """The head too, unless it runs; other conversations are left alone."""
    await queued(agentdb_uow, 3)
    await queued(agentdb_uow, 1, "other")
    queue = agentdb_uow.conversation_run_queue_items
    await claimed(agentdb_uow)

    assert await queue.cancel_all(CHAT) == 2
    assert await shown(agentdb_uow) == ["running", "cancelled", "cancelled", "ready"]
    assert await queue.cancel_all(CHAT) == 0
    assert await queue.cancel_all("other") == 1
    with pytest.raises(NotFoundError):
        await queue.cancel_all("nobody's")


async def test_a_requeued_run_takes_its_old_place(agentdb_uow: UnitOfWork) -> None:
    """A younger one that is ready steps back behind it."""
    first, second, _ = await queued(agentdb_uow, 3)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.cancel(first)

    again = await queue.requeue(first)

    assert (again.status, again.cancelled_at, again.completed_at) == ("ready", None, None)
    assert await shown(agentdb_uow) == ["ready", "queued", "queued"]
    assert [(await claimed(agentdb_uow)).id] == [first]
    assert await queue.place(second) == 1


async def test_a_requeued_run_waits_for_a_younger_one_that_runs(agentdb_uow: UnitOfWork) -> None:
    """And comes next, before others."""
    first, second, _ = await queued(agentdb_uow, 3)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.cancel(first)
    running = await claimed(agentdb_uow)

    assert (await queue.requeue(first)).status == "queued"
    assert await shown(agentdb_uow) == ["queued", "running", "queued"]
    await queue.complete(second, running.attempt)
    assert await shown(agentdb_uow) == ["ready", "completed", "queued"]


async def test_a_requeued_run_behind_the_head_waits(agentdb_uow: UnitOfWork) -> None:
    """An older one that is ready stays so."""
    _, second, _ = await queued(agentdb_uow, 3)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.cancel(second)

    assert (await queue.requeue(second)).status == "queued"
    assert await shown(agentdb_uow) == ["ready", "queued", "queued"]


async def test_a_requeued_run_keeps_its_attempts_and_gets_one_more(
    agentdb_uow: UnitOfWork,
) -> None:
    """So a late worker of an earlier attempt stays fenced off."""
    await queued(agentdb_uow, 1)
    queue = agentdb_uow.conversation_run_queue_items
    item = await claimed(agentdb_uow)
    await queue.fail(item.id, item.attempt, {"code": "boom"}, max_attempts=1)

    again = await queue.requeue(item.id)
    assert (again.attempt, again.error) == (1, {"code": "boom"})
    item = await claimed(agentdb_uow)
    assert item.attempt == 2
    assert (await queue.fail(item.id, 2, {}, max_attempts=1)).status == "failed"


async def test_only_what_failed_or_was_cancelled_is_requeued(agentdb_uow: UnitOfWork) -> None:
    """What waits, runs or is completed stays as it is."""
    first, second = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    for key in (first, second):
        with pytest.raises(InvalidTransitionError):
            await queue.requeue(key)
    item = await claimed(agentdb_uow)
    with pytest.raises(InvalidTransitionError):
        await queue.requeue(first)
    await queue.complete(first, item.attempt)
    with pytest.raises(InvalidTransitionError):
        await queue.requeue(first)
    with pytest.raises(NotFoundError):
        await queue.requeue(second + 1)

    assert await shown(agentdb_uow) == ["completed", "ready"]


async def test_a_requeued_run_moves_to_the_active_segment(agentdb_uow: UnitOfWork) -> None:
    """Where its own was truncated, so that the next truncation finds it."""
    conversation = await begun(agentdb_uow)
    question = await asked(agentdb_uow, conversation)
    (key,) = await queued(agentdb_uow, 1)
    cut = await truncate_from(agentdb_uow, conversation, question, cancel_queue=True)
    queue = agentdb_uow.conversation_run_queue_items

    assert (await queue.requeue(key)).segment_id == cut.active.id
    question = await asked(agentdb_uow, conversation)
    with pytest.raises(ConflictError):
        await truncate_from(agentdb_uow, conversation, question)
    await truncate_from(agentdb_uow, conversation, question, cancel_queue=True)
    assert await shown(agentdb_uow) == ["cancelled"]


async def test_a_requeued_run_opens_a_segment_where_none_is_active(
    agentdb_uow: UnitOfWork,
) -> None:
    """As an enqueue does; a run that may not be queued again opens none."""
    (key,) = await queued(agentdb_uow, 1)
    ledger = agentdb_uow.conversation_ledger_segments
    await agentdb_uow.execute(update(segments).values(truncated_at=segments.c.created_at))
    with pytest.raises(InvalidTransitionError):
        await agentdb_uow.conversation_run_queue_items.requeue(key)
    assert await ledger.count() == 1
    await agentdb_uow.conversation_run_queue_items.cancel(key)

    again = await agentdb_uow.conversation_run_queue_items.requeue(key)
    active = await ledger.active(again.conversation_id)
    assert (again.segment_id, active.segment_index) == (active.id, 1)


@pytest.mark.parametrize("ends", ["fails", "is not heard of again"])
async def test_a_younger_run_that_is_given_back_waits_behind_a_requeued_one(
    agentdb_uow: UnitOfWork, ends: str
) -> None:
    """The oldest run that has not ended is the next, whatever ran when it was queued again."""
    first, second = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.cancel(first)
    item = await claimed(agentdb_uow)
    assert (item.id, (await queue.requeue(first)).status) == (second, "queued")

    if ends == "fails":
        assert (await queue.fail(second, item.attempt, {})).status == "queued"
    else:
        action = QueueAction(agentdb_uow, agentdb_uow.tenant)
        rows = await action.rows(select(items).where(items.c.id == second))
        given = {**lease_of(action, timedelta(0)), "max_attempts": 5}
        ended = await end_leases(action, rows, given)
        assert [row.status for row in ended.items] == ["queued"]

    assert (await claimed(agentdb_uow)).id == first
