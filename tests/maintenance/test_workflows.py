from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from agentdb import Database
from agentdb.errors import InvalidTransitionError, InvalidValueError
from agentdb.maintenance import Report, fail_stale_runs, purge_deleted
from agentdb.maintenance.runner import Sweep
from agentdb.maintenance.workflows import DeletedRuns, DeletedSteps, StaleRuns
from agentdb.operations import soft_delete_run
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.maintenance.reports import found
from tests.plans import plans_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEK = 7 * DAY


async def states(database: Database) -> dict[str, str]:
    """Return the state of each run and step."""
    async with database.read(reason="test") as uow:
        runs = await uow.workflow_runs.all(include_deleted=True)
        steps = await uow.workflow_run_steps.all(include_deleted=True)
        return {run.id: run.status for run in runs} | {step.id: step.status for step in steps}


async def test_runs_that_take_too_long_fail_with_their_running_steps(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Younger, ended and deleted runs are left alone, and so are steps that have ended."""
    now = utc_now()
    old = agentdb_make.workflow_run(id="old", started_at=now - 2 * DAY)
    agentdb_make.workflow_run_step(workflow_run=old, id="runs")
    agentdb_make.workflow_run_step(workflow_run=old, id="ended", status="succeeded")
    agentdb_make.workflow_run(id="young", started_at=now - HOUR)
    agentdb_make.workflow_run(id="gone", started_at=now - WEEK, deleted_at=now)
    agentdb_make.workflow_run(id="done", started_at=now - WEEK, status="cancelled")
    before = await states(agentdb_database)
    dry = await fail_stale_runs(agentdb_database, dry_run=True)

    assert before == await states(agentdb_database)
    assert dry == await fail_stale_runs(agentdb_database)
    assert dry == Report({"failed": 1, "failed_steps": 1}, done=True)
    after = await states(agentdb_database)
    assert {**before, "old": "failed", "runs": "failed"} == after
    again = await fail_stale_runs(agentdb_database)
    assert again == Report({"failed": 0, "failed_steps": 0}, done=True)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        row = await uow.workflow_runs.require("old")
        assert row.ended_at is not None
        assert row.ended_at >= now
        with pytest.raises(InvalidTransitionError):
            await uow.workflow_runs.finish("old", "succeeded")


async def test_an_age_is_no_less_than_nothing(agentdb_database: Database) -> None:
    """A negative age, and a batch of nothing, are refused before anything is done."""
    with pytest.raises(InvalidValueError):
        await fail_stale_runs(agentdb_database, older_than=-DAY)
    with pytest.raises(InvalidValueError):
        await purge_deleted(agentdb_database, batch=0)


async def test_batches_go_on_where_the_last_one_ended(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Five runs of one instant, two at a time; a limit of batches leaves the rest for later."""
    at = utc_now() - WEEK
    for _ in range(5):
        agentdb_make.workflow_run(started_at=at)
    dry = await fail_stale_runs(agentdb_database, batch=2, max_batches=1, dry_run=True)
    first = await fail_stale_runs(agentdb_database, batch=2, max_batches=1)
    rest = await fail_stale_runs(agentdb_database, batch=2)

    assert dry == first == Report({"failed": 2, "failed_steps": 0}, done=False)
    assert rest == Report({"failed": 3, "failed_steps": 0}, done=True)


async def test_deleted_runs_are_purged_with_all_their_steps(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Run events stay and name no run; what was deleted lately can still be restored."""
    long_ago, lately = utc_now() - 2 * 30 * DAY, utc_now() - DAY
    old = agentdb_make.workflow_run(id="old", deleted_at=long_ago)
    agentdb_make.workflow_run_step(workflow_run=old, id="with", deleted_at=long_ago)
    agentdb_make.workflow_run_step(workflow_run=old, id="live")
    event = agentdb_make.agent_run_event(workflow_run=old)
    late = agentdb_make.workflow_run(id="late", deleted_at=lately)
    # Deleted by itself, long before its run.
    agentdb_make.workflow_run_step(workflow_run=late, id="comes back", deleted_at=long_ago)
    live = agentdb_make.workflow_run(id="kept")
    agentdb_make.workflow_run_step(workflow_run=live, id="alone", deleted_at=long_ago)
    agentdb_make.workflow_run_step(workflow_run=live, id="stays", deleted_at=lately)
    dry = await purge_deleted(agentdb_database, dry_run=True)

    assert dry == await purge_deleted(agentdb_database)
    assert found(dry) == {"workflow_runs": 1, "workflow_run_steps": 3}
    assert set(await states(agentdb_database)) == {"late", "comes back", "kept", "stays"}
    assert found(await purge_deleted(agentdb_database)) == {}
    async with agentdb_database.read(reason="test") as uow:
        assert (await uow.agent_run_events.require(event.id)).workflow_run_id is None


async def test_a_tenants_sweep_leaves_the_others_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Runs and steps alike, in the dry run and in the run."""
    other = agentdb_make.tenant_account()
    at = utc_now() - 2 * 30 * DAY
    for label, tenant in (("own", agentdb_make.tenant), ("foreign", other)):
        gone = agentdb_make.workflow_run(tenant=tenant, id=f"{label} gone", deleted_at=at)
        agentdb_make.workflow_run_step(workflow_run=gone, id=f"{label} gone step")
        run = agentdb_make.workflow_run(tenant=tenant, id=f"{label} run", started_at=at)
        agentdb_make.workflow_run_step(workflow_run=run, id=f"{label} step", deleted_at=at)
    tenant_id = agentdb_make.tenant.id
    dry = await purge_deleted(agentdb_database, tenant_id=tenant_id, dry_run=True)
    purged = await purge_deleted(agentdb_database, tenant_id=tenant_id)
    failed = await fail_stale_runs(agentdb_database, tenant_id=tenant_id)

    assert dry == purged
    assert found(purged) == {"workflow_runs": 1, "workflow_run_steps": 2}
    assert failed == Report({"failed": 1, "failed_steps": 0}, done=True)
    left = await states(agentdb_database)
    assert sorted(left) == [
        "foreign gone",
        "foreign gone step",
        "foreign run",
        "foreign step",
        "own run",
    ]
    assert (left["own run"], left["foreign run"]) == ("failed", "running")


@pytest.mark.agentdb_commits
async def test_sweeps_start_from_a_url_alone(agentdb_url: str, agentdb_make: Factory) -> None:
    """No database object is needed."""
    agentdb_make.workflow_run(started_at=utc_now() - WEEK)
    agentdb_make.workflow_run(deleted_at=utc_now() - 2 * 30 * DAY)

    assert (await fail_stale_runs(agentdb_url)).counts["failed"] == 1
    assert (await purge_deleted(agentdb_url)).counts["workflow_runs"] == 1


@pytest.mark.agentdb_commits
async def test_concurrent_sweeps_do_each_row_once(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Purges and sweeps for stale runs share the work; none fails, none does it twice."""
    at = utc_now() - 2 * 30 * DAY
    with agentdb_make.transaction():
        for _ in range(20):
            agentdb_make.workflow_run_step(
                workflow_run=agentdb_make.workflow_run(deleted_at=at, started_at=at)
            )
            agentdb_make.workflow_run_step(workflow_run=agentdb_make.workflow_run(started_at=at))

    async def call(number: int) -> Report:
        if number % 2:
            return await fail_stale_runs(agentdb_database, batch=3)
        return await purge_deleted(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    await purge_deleted(agentdb_database)
    await fail_stale_runs(agentdb_database)

    assert outcomes.errors == []
    totals = [
        sum(report.counts.get(name, 0) for report in outcomes.results)
        for name in ("workflow_runs", "workflow_run_steps", "failed", "failed_steps")
    ]
    assert all(total <= 20 for total in totals)
    left = await states(agentdb_database)
    assert len(left) == 40
    assert set(left.values()) == {"failed"}


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_locked_run_is_skipped(agentdb_database: Database, agentdb_make: Factory) -> None:
    """A sweep never waits for a worker; what it left is done by the next one."""
    at = utc_now() - 2 * 30 * DAY
    run = agentdb_make.workflow_run(started_at=at)
    gone = agentdb_make.workflow_run(deleted_at=at)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await uow.workflow_runs.require(run.id, lock=True)
        await uow.workflow_runs.require(gone.id, lock=True, include_deleted=True)

        assert (await fail_stale_runs(agentdb_database)).counts["failed"] == 0
        assert (await purge_deleted(agentdb_database)).counts["workflow_runs"] == 0
    assert (await fail_stale_runs(agentdb_database)).counts["failed"] == 1
    assert (await purge_deleted(agentdb_database)).counts["workflow_runs"] == 1


async def test_what_a_verb_deletes_is_what_the_purge_takes(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A run that the verb has deleted goes with its steps as soon as it is old enough."""
    step = agentdb_make.workflow_run_step()
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await soft_delete_run(uow, step.workflow_run_id, agentdb_make.user().id)

    assert (await purge_deleted(agentdb_database)).counts["workflow_runs"] == 0
    purged = await purge_deleted(agentdb_database, older_than=timedelta(0))
    assert found(purged) == {"workflow_runs": 1, "workflow_run_steps": 1}


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (StaleRuns(None, DAY), "ix_workflow_runs_running"),
        (DeletedRuns(None, DAY), "ix_workflow_runs_deleted_at"),
        (DeletedSteps(None, DAY), "ix_workflow_run_steps_deleted_at"),
    ],
    ids=["stale", "runs", "steps"],
)
async def test_a_sweep_follows_its_index(
    agentdb_database: Database, agentdb_make: Factory, sweep: Sweep[object], index: str
) -> None:
    """No batch reads a table from end to end, and neither does a dry run."""
    at = utc_now() - WEEK
    agentdb_make.workflow_run_step(deleted_at=at)
    agentdb_make.workflow_run(started_at=at)
    run = agentdb_make.workflow_run(deleted_at=at)
    for _ in range(200):  # of so few rows as above, any index would do
        agentdb_make.workflow_run_step(workflow_run_id=run.id)
    async with agentdb_database.begin_system(reason="test") as uow:
        if uow.is_postgresql:
            await uow.execute(text("ANALYZE"))
    for after in (None, (at, "a")):
        async with agentdb_database.begin_system(reason="test") as uow:
            change = await plans_of(uow, sweep.change(uow, after, 10))
            count = await plans_of(uow, sweep.count(uow, None))

        change[0].assert_uses_index(index)
        count[0].assert_uses_index(index)
        for plan in (*change, *count):
            plan.assert_scans_nothing()
