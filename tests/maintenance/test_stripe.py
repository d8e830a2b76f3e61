from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError
from agentdb.maintenance import Report, purge_stripe_events, recover_dispatches
from agentdb.maintenance.stripe import Lapsed, ProcessedEvents
from agentdb.testing import run_concurrently
from agentdb.types import utc_now
from tests.plans import plans_of, sorts
from tests.stripe import payloads
from tests.stripe.test_events import deliver

DAY = timedelta(days=1)
LONG_AGO = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def claimed(uow: UnitOfWork, count: int, attempts: int = 1) -> list[UUID]:
    """Take in events whose work was claimed long ago; return the ids of the work."""
    found: list[UUID] = []
    for _ in range(count):
        event = payloads.event("invoice.paid", payloads.invoice(), number=uuid4().int % 10**20)
        (work,) = (await deliver(uow, event, ["a"], now=LONG_AGO)).dispatches
        for _ in range(attempts):
            await uow.stripe_event_dispatch.update(work.id, next_retry_at=None)
            await uow.stripe_event_dispatch.claim(max_attempts=100, now=LONG_AGO)
        found.append(work.id)
    return found


async def test_lapsed_claims_are_ended(agentdb_database: Database) -> None:
    """They are due, or dead after the last attempt; a dry run counts the same."""
    async with agentdb_database.begin_system(reason="test") as uow:
        due = await claimed(uow, 2)
        (dead,) = await claimed(uow, 1, attempts=3)
        assert await uow.stripe_event_dispatch.claim(max_attempts=1) == []
        ((held, _),) = await uow.stripe_event_dispatch.claim(limit=1, max_attempts=3)
    old = await recover_dispatches(agentdb_database, older_than=timedelta(days=36_500), batch=1)
    dry = await recover_dispatches(agentdb_database, max_attempts=3, dry_run=True)

    assert old.counts == {"due": 0, "dead": 0}
    assert dry == await recover_dispatches(agentdb_database, max_attempts=3, batch=1)
    assert sum(dry.counts.values()) == 2
    again = await recover_dispatches(agentdb_database, max_attempts=3)
    assert again == Report({"due": 0, "dead": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        rows = await uow.stripe_event_dispatch.get_many([*due, dead])
        assert rows[held.id].status == "in_progress"
        for key in {*due, dead} - {held.id}:
            assert rows[key].status == ("dead" if key == dead else "pending")
            assert rows[key].last_error == "the lease has expired"


async def test_dead_work_fails_its_event(agentdb_database: Database) -> None:
    """And can be reset, for one more attempt."""
    async with agentdb_database.begin_system(reason="test") as uow:
        (key,) = await claimed(uow, 1)
    await recover_dispatches(agentdb_database, max_attempts=1)
    async with agentdb_database.begin_system(reason="test") as uow:
        (event,) = await uow.stripe_events.all()
        assert (event.processing_outcome, event.processing_error) == (
            "failed",
            "the lease has expired",
        )
        await uow.stripe_event_dispatch.reset(key)
        ((work, _),) = await uow.stripe_event_dispatch.claim()
        await uow.stripe_event_dispatch.complete(key, work.attempts)
        assert event.processing_outcome == "processed"


async def test_processed_events_are_purged(agentdb_database: Database) -> None:
    """With the work on them; those that are not processed stay, however old."""
    now = utc_now()
    async with agentdb_database.begin_system(reason="test") as uow:
        for number, age in enumerate((100 * DAY, 80 * DAY)):
            event = payloads.event("invoice.paid", payloads.invoice(), number=number)
            await deliver(uow, event, [], now=now - age)
        await claimed(uow, 1)
    dry = await purge_stripe_events(agentdb_database, dry_run=True)

    assert dry == await purge_stripe_events(agentdb_database) == Report({"deleted": 1}, done=True)
    assert (await purge_stripe_events(agentdb_database)).counts == {"deleted": 0}
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.stripe_events.count() == 2
        assert await uow.stripe_event_dispatch.count() == 1


async def test_what_cannot_be_is_refused(agentdb_database: Database) -> None:
    """These tables belong to no tenant."""
    with pytest.raises(InvalidValueError):
        await recover_dispatches(agentdb_database, tenant_id=uuid4())
    with pytest.raises(InvalidValueError):
        await purge_stripe_events(agentdb_database, tenant_id=uuid4())
    with pytest.raises(InvalidValueError):
        await recover_dispatches(agentdb_database, max_attempts=0)


@pytest.mark.agentdb_plans
async def test_the_sweeps_follow_their_indexes(agentdb_database: Database) -> None:
    """No batch reads a table from end to end, or sorts one."""
    at = LONG_AGO, uuid4()
    for after in (None, at):
        async with agentdb_database.begin_system(reason="test") as uow:
            await claimed(uow, 2)
            lapsed = await plans_of(uow, Lapsed(timedelta(0), 3).change(uow, after, 10))
            purged = await plans_of(uow, ProcessedEvents(None, DAY).change(uow, after, 10))
        lapsed[0].assert_uses_index("ix_stripe_event_dispatch_due")
        purged[0].assert_uses_index("ix_stripe_events_processed")
        assert not sorts(lapsed[0])
        for plan in (*lapsed, *purged):
            plan.assert_scans_nothing()


@pytest.mark.agentdb_commits
async def test_several_processes_end_each_claim_once(agentdb_database: Database) -> None:
    """Beside claimers, who take what is due meanwhile: nothing is lost, nobody waits for ever."""
    async with agentdb_database.begin_system(reason="test") as uow:
        keys = await claimed(uow, 10)

    async def call(number: int) -> int:
        if number % 2:
            return sum((await recover_dispatches(agentdb_database, batch=3)).counts.values())
        async with agentdb_database.begin_system(reason="test") as uow:
            return len(await uow.stripe_event_dispatch.claim(limit=2))

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.begin_system(reason="test") as uow:
        for key in keys:
            await uow.stripe_event_dispatch.update(key, next_retry_at=None)
        assert len(await uow.stripe_event_dispatch.claim()) == 10
