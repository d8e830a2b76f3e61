from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from agentdb import Database
from agentdb.activity.models import ActivityEvent
from agentdb.maintenance import Report, purge_activity_events
from agentdb.maintenance.activity import ActivityEvents
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now, uuid_pk
from tests.plans import plans_of

DAY = timedelta(days=1)
YEARS = 2 * 365 * DAY


async def test_old_events_go_with_their_receipts(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Young ones and the checkpoint stay; a dry run counts what goes."""
    now, user = utc_now(), agentdb_make.user().id
    old, young = (agentdb_make.activity_event(created_at=at) for at in (now - YEARS, now))
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.activity_event_receipts.mark_all([old.id, young.id], user, "unread")
        await uow.activity_last_seen.advance(user, old.created_at, event_id=old.id)
    dry = await purge_activity_events(agentdb_database, dry_run=True)

    assert dry == await purge_activity_events(agentdb_database) == Report({"deleted": 1}, done=True)
    assert await purge_activity_events(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        (receipt,) = await uow.activity_event_receipts.all()
        (checkpoint,) = await uow.activity_last_seen.all()
        assert [row.id for row in await uow.activity_events.all()] == [young.id]
        assert (receipt.event_id, checkpoint.last_seen_event_id) == (young.id, old.id)
        assert await uow.activity_last_seen.count_unread(user) == 1
    rest = await purge_activity_events(agentdb_database, older_than=timedelta(0))
    assert rest.counts == {"deleted": 1}


async def test_a_purge_in_batches_is_of_one_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Equal stamps are walked over once; what ``max_batches`` leaves is told."""
    at, other = utc_now() - YEARS, agentdb_make.tenant_account()
    for _ in range(5):
        agentdb_make.activity_event(created_at=at)
    agentdb_make.activity_event(created_at=at, tenant=other)
    own = agentdb_make.tenant.id
    dry = await purge_activity_events(
        agentdb_database, tenant_id=own, batch=2, max_batches=2, dry_run=True
    )
    done = await purge_activity_events(agentdb_database, tenant_id=own, batch=2, max_batches=2)

    assert dry == done == Report({"deleted": 4}, done=False)
    rest = await purge_activity_events(agentdb_database, tenant_id=own, batch=2)
    assert rest == Report({"deleted": 1}, done=True)
    assert (await purge_activity_events(agentdb_database, dry_run=True)).counts == {"deleted": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_purges_share_the_events(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each is counted by the one that deleted it."""
    with agentdb_make.transaction():
        for _ in range(40):
            agentdb_make.activity_event(created_at=utc_now() - YEARS)

    async def call(_: int) -> Report:
        return await purge_activity_events(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    rest = await purge_activity_events(agentdb_database)

    assert outcomes.errors == []
    deleted = sum(report.counts["deleted"] for report in outcomes.results)
    assert deleted + rest.counts["deleted"] == 40


def feeds(tenants: list[UUID]) -> list[ActivityEvent]:
    """Return a thousand events of six weeks: an index that leads with the tenant is a detour."""
    now, hour = utc_now(), timedelta(hours=1)
    return [
        ActivityEvent(
            tenant_id=tenants[n % len(tenants)], action="host.done", created_at=now - n * hour
        )
        for n in range(1000)
    ]


@pytest.mark.agentdb_plans
async def test_a_purge_follows_its_index(agentdb_database: Database, agentdb_make: Factory) -> None:
    """No batch reads the table from end to end, the dry run neither."""
    tenants = [agentdb_make.tenant_account().id for _ in range(20)]
    sweep = ActivityEvents(None, 30 * DAY)
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.activity_events.add_many(feeds(tenants))
        await uow.execute(text("ANALYZE activity_events"))
    for after in (None, (utc_now() - YEARS, uuid_pk())):
        async with agentdb_database.begin_system(reason="test") as uow:
            plans = await plans_of(uow, sweep.change(uow, after, 10))
            plans += await plans_of(uow, sweep.count(uow, None))

        assert len(plans) == 2
        for plan in plans:
            plan.assert_uses_index("ix_activity_events_created")
            plan.assert_scans_nothing()
