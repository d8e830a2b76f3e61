from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from agentdb import maintenance
from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.ledger.queue.statements import items
from agentdb.maintenance import Report, purge_queue_items, recover_queue_items
from agentdb.models import TenantAccount
from agentdb.testing import FrozenClock, run_concurrently
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.conversations import begun
from tests.ledger.queues import CHAT, put, queued, states, violations

LEASE = timedelta(minutes=5)
MONTH = timedelta(days=30)

Verb = Callable[..., Awaitable[Report]]


async def shown(database: Database) -> list[str]:
    """Return the states of all runs, in the order of their ids."""
    async with database.begin_system(reason="test") as uow:
        return list((await states(uow)).values())


async def lapse(database: Database, tenant: UUID, clock: FrozenClock, count: int = 1) -> None:
    """Claim the heads of so many conversations with two runs each, and let the leases end."""
    async with database.begin(tenant=tenant) as uow:
        for number in range(count):
            await queued(uow, 2, f"{CHAT}-{number}")
        await uow.conversation_run_queue_items.claim(limit=count)
    clock.advance(LEASE)


async def test_lapsed_leases_are_given_up(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_freeze_now: FrozenClock
) -> None:
    """The runs are ready again, and who held them is fenced off."""
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)

    report = await recover_queue_items(agentdb_database, older_than=LEASE)

    assert report == Report({"ready": 1, "failed": 0, "promoted": 0}, done=True)
    assert await shown(agentdb_database) == ["ready", "queued"]


async def test_a_lease_that_stands_is_left_alone(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_freeze_now: FrozenClock
) -> None:
    """To the last microsecond."""
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)
    agentdb_freeze_now.advance(-timedelta(microseconds=1))

    report = await recover_queue_items(agentdb_database, older_than=LEASE)

    assert sum(report.counts.values()) == 0


async def test_runs_that_had_all_attempts_fail_and_free_the_next(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_freeze_now: FrozenClock
) -> None:
    """With the code that says why."""
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)

    report = await recover_queue_items(agentdb_database, older_than=LEASE, max_attempts=1)

    assert report.counts == {"ready": 0, "failed": 1, "promoted": 1}
    assert await shown(agentdb_database) == ["failed", "ready"]
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        first = await uow.conversation_run_queue_items.all(limit=1)
        assert first[0].error_json == {"code": "lease_expired"}


async def headless(uow: UnitOfWork, tenant: UUID, count: int) -> None:
    """Store waiting runs without a head in so many conversations."""
    for number in range(count):
        await put(uow, await begun(uow, f"headless-{number}"), tenant, {}, {})


async def test_conversations_without_a_head_get_their_oldest(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Those with one keep it."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2)
        await headless(uow, agentdb_tenant.id, 3)

    report = await recover_queue_items(agentdb_database, batch=2)

    assert report == Report({"ready": 0, "failed": 0, "promoted": 3}, done=True)
    assert await shown(agentdb_database) == ["ready", "queued"] * 4
    assert await violations(agentdb_database) == []


@pytest.mark.parametrize(
    "how",
    [
        {"batch": batch, "max_batches": batches, "max_attempts": attempts}
        for batch in (1, 2, 3, 4, 1000)
        for batches in (None, 1, 2, 3, 5)
        for attempts in (1, 5)
    ],
    ids=lambda how: "-".join(str(value) for value in how.values()),
)
async def test_a_dry_run_counts_what_the_run_then_changes(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_freeze_now: FrozenClock,
    how: dict[str, Any],
) -> None:
    """Whatever the batches; repeated it comes to an end, and then changes nothing."""
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now, 3)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await headless(uow, agentdb_tenant.id, 2)
        await unstarted(uow, agentdb_tenant.id, 3, agentdb_freeze_now() - LEASE)

    async def recover(**more: Any) -> Report:
        return await recover_queue_items(agentdb_database, older_than=LEASE, **{**how, **more})

    before = await shown(agentdb_database)
    counted = await recover(dry_run=True)
    assert await shown(agentdb_database) == before
    assert await recover() == counted
    while not (await recover()).done:
        pass
    again = await recover()
    assert again == Report({"ready": 0, "failed": 0, "promoted": 0}, done=True)
    assert await violations(agentdb_database) == []


async def finished(
    database: Database, tenant: UUID, clock: FrozenClock, count: int = 5
) -> list[int]:
    """Return the ids of runs that have ended a month ago, beside one that still runs."""
    async with database.begin(tenant=tenant) as uow:
        ids = await queued(uow, count)
        queue = uow.conversation_run_queue_items
        (item,) = await queue.claim()
        await queue.complete(item.id, item.attempt)
        (item,) = await queue.claim()
        await queue.fail(item.id, item.attempt, {}, retry=False)
        for key in ids[2:]:
            await queue.cancel(key)
        await queued(uow, 2, "going-on")
        await queue.claim()
    clock.advance(MONTH)
    return ids


@pytest.mark.parametrize("batch", [1, 2, 5, 1000])
@pytest.mark.parametrize("max_batches", [None, 1, 3])
async def test_finished_runs_are_purged_by_age(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_freeze_now: FrozenClock,
    batch: int,
    max_batches: int | None,
) -> None:
    """However they ended; what waits or runs stays, however old."""
    await finished(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)

    async def purge(**how: Any) -> Report:
        return await purge_queue_items(agentdb_database, older_than=MONTH, batch=batch, **how)

    assert (await purge()).counts == {"deleted": 0}
    agentdb_freeze_now.advance(timedelta(microseconds=1))
    counted = await purge(dry_run=True, max_batches=max_batches)
    assert len(await shown(agentdb_database)) == 7
    assert await purge(max_batches=max_batches) == counted
    assert (await purge()).counts == {"deleted": 5 - counted.counts["deleted"]}
    assert await purge() == Report({"deleted": 0}, done=True)
    assert await shown(agentdb_database) == ["running", "queued"]


@pytest.mark.parametrize("verb", [purge_queue_items, recover_queue_items])
async def test_a_verb_is_confined_to_the_tenant_that_is_named(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_freeze_now: FrozenClock,
    verb: Verb,
) -> None:
    """The runs of others stay as they are."""
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)
    await finished(agentdb_database, agentdb_tenant.id, agentdb_freeze_now)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create_with_free_slug("Other")
        # Columns of another clock than that of the tests would not count.
        await uow.execute(update(items).values(created_at=agentdb_freeze_now()))
    agentdb_freeze_now.advance(MONTH)

    for dry_run in (True, False):
        report = await verb(agentdb_database, tenant_id=other.id, dry_run=dry_run)
        assert sum(report.counts.values()) == 0
    report = await verb(agentdb_database, tenant_id=agentdb_tenant.id)
    assert sum(report.counts.values()) > 0


@pytest.mark.parametrize("verb", [purge_queue_items, recover_queue_items])
async def test_a_verb_can_be_started_from_a_url(agentdb_url: str, verb: Verb) -> None:
    """Nothing else is needed."""
    assert (await verb(agentdb_url)).done


@pytest.mark.parametrize("verb", [purge_queue_items, recover_queue_items])
@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"batch": True},
        {"max_batches": 0},
        *({"older_than": age} for age in (timedelta(seconds=-1), timedelta.max, 5, None)),
    ],
    ids=str,
)
async def test_a_verb_refuses_what_cannot_be(
    agentdb_database: Database, verb: Verb, wrong: dict[str, Any]
) -> None:
    """No batch, and no time to come."""
    with pytest.raises(InvalidValueError):
        await verb(agentdb_database, **wrong)


@pytest.mark.parametrize("attempts", [0, 1.5, "3", None])
async def test_a_number_of_attempts_is_a_whole_number(
    agentdb_database: Database, attempts: Any
) -> None:
    """From 1."""
    with pytest.raises(InvalidValueError):
        await recover_queue_items(agentdb_database, max_attempts=attempts)


async def unstarted(uow: UnitOfWork, tenant: UUID, count: int, at: datetime) -> None:
    """Store runs that are said to be at work, not since when, each before one that waits."""
    running = {"status": "running", "created_at": at}
    for number in range(count):
        await put(uow, await begun(uow, f"unstarted-{number}"), tenant, running, {})


async def test_a_run_that_was_never_begun_has_its_lease_from_its_creation(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_freeze_now: FrozenClock
) -> None:
    """No verb leaves such a row, and no claim finds it: its conversation would wait for ever."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await unstarted(uow, agentdb_tenant.id, 1, agentdb_freeze_now())
    agentdb_freeze_now.advance(LEASE - timedelta(microseconds=1))
    assert sum((await recover_queue_items(agentdb_database)).counts.values()) == 0
    agentdb_freeze_now.advance(timedelta(microseconds=1))

    assert (await recover_queue_items(agentdb_database)).counts["ready"] == 1
    assert await shown(agentdb_database) == ["ready", "queued"]


async def test_a_batch_may_hold_more_than_a_statement_names(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_freeze_now: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is worked off in parts, in the same unit."""
    monkeypatch.setattr("agentdb.ledger.queue.actions.KEYS_PER_STATEMENT", 2)
    statements: list[int] = []
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await headless(uow, agentdb_tenant.id, 3)
    await lapse(agentdb_database, agentdb_tenant.id, agentdb_freeze_now, 5)

    def note(_: Any, __: Any, ___: str, parameters: Any, *____: Any) -> None:
        statements.append(len(parameters))

    engine = agentdb_database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    report = await recover_queue_items(agentdb_database, older_than=LEASE, max_attempts=1)
    event.remove(engine, "before_cursor_execute", note)

    assert report.counts == {"ready": 0, "failed": 5, "promoted": 8}
    assert await violations(agentdb_database) == []
    assert max(statements) <= 10


@pytest.mark.agentdb_commits
async def test_several_processes_may_recover_at_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each run is given up once, and none is lost."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for number in range(10):
            await queued(uow, 2, f"{CHAT}-{number}")
        taken = await uow.conversation_run_queue_items.claim(limit=10)
        old = {"started_at": taken[0].created_at - timedelta(days=1)}
        running = items.c.id.in_([item.id for item in taken])
        await uow.execute(update(items).where(running).values(old))

    async def recover(_: int) -> Report:
        return await recover_queue_items(agentdb_database, max_attempts=1, batch=3)

    outcomes = await run_concurrently(4, recover, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(report.counts["failed"] for report in outcomes.results) == 10
    assert sum(report.counts["promoted"] for report in outcomes.results) == 10
    assert await violations(agentdb_database) == []


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_what_others_have_locked_is_skipped(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Maintenance waits for nobody; the next run finds it."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2)
        (item,) = await uow.conversation_run_queue_items.claim()
        await uow.execute(update(items).values(started_at=item.created_at - LEASE))
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as holder:
        await holder.conversation_run_queue_items.hold(item.id, item.attempt)
        skipped = await recover_queue_items(agentdb_database, older_than=LEASE)
        assert skipped == Report({"ready": 0, "failed": 0, "promoted": 0}, done=True)

    assert (await recover_queue_items(agentdb_database, older_than=LEASE)).counts["ready"] == 1


def test_the_verbs_are_public() -> None:
    """Under the name of the package."""
    assert {"Report", "purge_queue_items", "recover_queue_items"} <= set(maintenance.__all__)
