from __future__ import annotations

from datetime import timedelta

import pytest

from agentdb import Database
from agentdb.conversations.rows import NewRunEvent
from agentdb.maintenance import Report, purge_run_events, purge_summaries
from agentdb.maintenance.conversations import ExpiredSummaries, RunEvents
from agentdb.maintenance.runner import Sweep
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.plans import plans_of

DAY = timedelta(days=1)
YEAR = 365 * DAY


async def test_run_events_are_purged_by_age(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By when they were stored, whatever they say of when they were made."""
    now = utc_now()
    old = agentdb_make.agent_run_event(ingested_at=now - YEAR, created_at=now)
    young = agentdb_make.agent_run_event(ingested_at=now, created_at=now - YEAR)
    dry = await purge_run_events(agentdb_database, dry_run=True)

    assert dry == await purge_run_events(agentdb_database) == Report({"deleted": 1}, done=True)
    assert await purge_run_events(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.agent_run_events.get(old.id) is None
        assert await uow.agent_run_events.get(young.id) is not None
    assert (await purge_run_events(agentdb_database, older_than=timedelta(0))).counts == {
        "deleted": 1
    }


async def test_numbers_go_on_after_a_purge(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Run events that stay keep their numbers, and the next one follows the highest."""
    now = utc_now()
    conversation = agentdb_make.conversation(key="support")
    for at in (now - YEAR, now):
        agentdb_make.agent_run_event(conversation=conversation, ingested_at=at)
    await purge_run_events(agentdb_database)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        (row,), _ = await uow.agent_run_events.append(
            "support", [NewRunEvent(run_item_type="message")]
        )

    assert row.sequence_no == 2


async def test_expired_summaries_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Those without an expiry, or with one to come, stay."""
    now = utc_now()
    for at in (now - DAY, now - YEAR, now + DAY, None):
        agentdb_make.conversation_summary(expires_at=at)
    dry = await purge_summaries(agentdb_database, older_than=30 * DAY, dry_run=True)

    assert dry == await purge_summaries(agentdb_database, older_than=30 * DAY)
    assert dry == Report({"deleted": 1}, done=True)
    assert await purge_summaries(agentdb_database) == Report({"deleted": 1}, done=True)
    assert await purge_summaries(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        left = [row.expires_at for row in await uow.conversation_summaries.all()]
    assert set(left) == {now + DAY, None}


async def test_equal_stamps_are_walked_over_in_batches(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Five rows of one instant in batches of two; what ``max_batches`` leaves is told."""
    at = utc_now() - YEAR
    for _ in range(5):
        agentdb_make.agent_run_event(ingested_at=at)
    dry = await purge_run_events(agentdb_database, batch=2, max_batches=2, dry_run=True)

    assert dry == await purge_run_events(agentdb_database, batch=2, max_batches=2)
    assert dry == Report({"deleted": 4}, done=False)
    assert await purge_run_events(agentdb_database, batch=2) == Report({"deleted": 1}, done=True)


async def test_a_tenants_purge_leaves_the_others_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Of rows that name their tenant, and of those that belong by their conversation."""
    other, at = agentdb_make.tenant_account(), utc_now() - YEAR
    for tenant in (agentdb_make.tenant, other):
        conversation = agentdb_make.conversation(tenant=tenant, messages=2)
        agentdb_make.agent_run_event(conversation=conversation, ingested_at=at)
        agentdb_make.conversation_summary(conversation=conversation, expires_at=at)
    own = agentdb_make.tenant.id

    for verb in (purge_run_events, purge_summaries):
        dry = await verb(agentdb_database, tenant_id=own, dry_run=True)
        assert (
            dry == await verb(agentdb_database, tenant_id=own) == Report({"deleted": 1}, done=True)
        )
        assert (await verb(agentdb_database, dry_run=True)).counts == {"deleted": 1}


@pytest.mark.agentdb_commits
async def test_sweeps_start_from_a_url_alone(agentdb_url: str, agentdb_make: Factory) -> None:
    """No database object is needed."""
    at = utc_now() - YEAR
    agentdb_make.agent_run_event(ingested_at=at)
    agentdb_make.conversation_summary(expires_at=at)

    assert (await purge_run_events(agentdb_url)).counts == {"deleted": 1}
    assert (await purge_summaries(agentdb_url)).counts == {"deleted": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_purges_share_the_rows(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each row is counted by the one that deleted it, and by nobody else."""
    at = utc_now() - YEAR
    with agentdb_make.transaction():
        conversation = agentdb_make.conversation()
        for _ in range(40):
            agentdb_make.agent_run_event(conversation=conversation, ingested_at=at)

    async def call(_: int) -> Report:
        return await purge_run_events(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    rest = await purge_run_events(agentdb_database)

    assert outcomes.errors == []
    deleted = sum(report.counts["deleted"] for report in outcomes.results)
    assert deleted + rest.counts["deleted"] == 40


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (RunEvents(None, DAY), "ix_agent_run_events_ingested"),
        (ExpiredSummaries(None, DAY), "ix_conversation_summaries_expires"),
    ],
    ids=["run events", "summaries"],
)
async def test_a_purge_follows_its_index(
    agentdb_database: Database, sweep: Sweep[object], index: str
) -> None:
    """No batch reads a table from end to end, the dry run neither."""
    for after in (None, (utc_now() - YEAR, 1)):
        async with agentdb_database.begin_system(reason="test") as uow:
            plans = await plans_of(uow, sweep.change(uow, after, 10))
            plans += await plans_of(uow, sweep.count(uow, None))

        assert len(plans) == 2
        for plan in plans:
            plan.assert_uses_index(index)
            plan.assert_scans_nothing()
