from __future__ import annotations

from datetime import timedelta

import pytest

from agentdb.errors import LeaseLostError
from agentdb.testing import FrozenClock
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.queues import claimed, queued, states

LEASE = timedelta(minutes=5)
TICK = timedelta(microseconds=1)


async def test_a_lease_ends_after_its_length_and_not_before(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """The run is then a new attempt of whoever claims it."""
    await queued(agentdb_uow, 2)
    item = await claimed(agentdb_uow)
    queue = agentdb_uow.conversation_run_queue_items

    agentdb_freeze_now.advance(LEASE - TICK)
    assert await queue.claim(lease=LEASE) == []
    agentdb_freeze_now.advance(TICK)
    (again,) = await queue.claim(lease=LEASE)
    assert (again.id, again.attempt, again.started_at) == (item.id, 2, agentdb_freeze_now())


async def test_lapsed_runs_come_before_ready_ones(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """What was begun first is ended first; ready runs fill the rest of the limit."""
    (lapsed,) = await queued(agentdb_uow, 1, "lapsed")
    queue = agentdb_uow.conversation_run_queue_items
    await claimed(agentdb_uow)
    agentdb_freeze_now.advance(LEASE)
    (other,) = await queued(agentdb_uow, 1, "other")

    assert [item.id for item in await queue.claim(lease=LEASE)] == [lapsed]
    assert [item.id for item in await queue.claim(lease=LEASE)] == [other]


async def test_a_claim_of_several_takes_lapsed_and_ready_ones(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """Up to its limit together."""
    old = [(await queued(agentdb_uow, 1, f"old-{n}"))[0] for n in range(2)]
    queue = agentdb_uow.conversation_run_queue_items
    await queue.claim(limit=2)
    agentdb_freeze_now.advance(LEASE)
    new = [(await queued(agentdb_uow, 1, f"new-{n}"))[0] for n in range(3)]

    taken = await queue.claim(lease=LEASE, limit=4)
    assert [item.id for item in taken] == [*old, *new[:2]]
    assert [item.attempt for item in taken] == [2, 2, 1, 1]


async def test_a_run_that_had_all_attempts_fails_and_frees_the_next(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """The claim that finds it so takes the next of the conversation."""
    poison, second = await queued(agentdb_uow, 2)
    queue = agentdb_uow.conversation_run_queue_items
    for attempt in (1, 2, 3):
        (item,) = await queue.claim(lease=LEASE, max_attempts=3)
        assert (item.id, item.attempt) == (poison, attempt)
        agentdb_freeze_now.advance(LEASE)

    (item,) = await queue.claim(lease=LEASE, max_attempts=3)
    assert item.id == second
    row = await queue.require(poison)
    assert (row.status, row.error_json) == ("failed", {"code": "lease_expired"})
    assert (row.attempt_count, row.completed_at) == (3, agentdb_freeze_now())
    with pytest.raises(LeaseLostError):
        await queue.complete(poison, 3)


async def test_a_queue_of_poison_alone_ends(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """Each claim fails what has had its attempts, and takes nothing where nothing is left."""
    await queued(agentdb_uow, 1)
    queue = agentdb_uow.conversation_run_queue_items
    await queue.claim(max_attempts=1)
    agentdb_freeze_now.advance(LEASE)

    assert await queue.claim(lease=LEASE, max_attempts=1) == []
    assert set((await states(agentdb_uow)).values()) == {"failed"}


async def test_a_claim_in_a_tenants_unit_leaves_other_tenants_leases(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """A tenant named for a claim is the one whose lapsed runs are taken over."""
    await queued(agentdb_uow, 1)
    item = await claimed(agentdb_uow)
    agentdb_freeze_now.advance(LEASE)

    (again,) = await agentdb_uow.conversation_run_queue_items.claim(
        lease=LEASE, tenant_id=agentdb_uow.tenant
    )
    assert again.id == item.id
