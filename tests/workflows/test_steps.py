from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    ConflictError,
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    TenantMismatchError,
)
from agentdb.operations import cancel_run
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_steps_are_numbered_from_0(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """One more than the highest, which a deleted step may hold; an explicit number is kept."""
    run = agentdb_make.workflow_run()
    record = agentdb_uow.workflow_run_steps.record
    first = await record(run.id, "plan", "planner", "running", now=NOON, stage_name="a")
    jump = await record(run.id, "write", "writer", "succeeded", sequence_no=5, now=NOON)
    await agentdb_uow.workflow_run_steps.update(jump.id, deleted_at=NOON)
    last = await record(run.id, "read", "reader", "running", id="step", started_at=NOON)

    assert [step.sequence_no for step in (first, jump, last)] == [0, 5, 6]
    assert (first.started_at, first.ended_at, first.stage_name) == (NOON, None, "a")
    assert (jump.started_at, jump.ended_at) == (NOON, NOON)
    assert (last.id, last.started_at) == ("step", NOON)


async def test_a_taken_number_is_a_conflict(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Also one that a deleted step holds, which may come back; the unit goes on."""
    run = agentdb_make.workflow_run()
    agentdb_make.workflow_run_step(workflow_run=run, sequence_no=0)
    agentdb_make.workflow_run_step(workflow_run=run, sequence_no=1, deleted_at=NOON)
    record = agentdb_uow.workflow_run_steps.record
    for number in (0, 1):
        with pytest.raises(ConflictError):
            await record(run.id, "plan", "planner", "running", sequence_no=number)
    with pytest.raises(InvalidValueError):
        await record(run.id, "plan", "planner", "running", sequence_no=-1)

    assert (await record(run.id, "plan", "planner", "running")).sequence_no == 2


async def test_a_step_needs_a_live_run(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Absent, deleted and foreign runs are refused alike, and so are the steps of a deleted one."""
    gone = agentdb_make.workflow_run(deleted_at=NOON)
    left = agentdb_make.workflow_run_step(workflow_run=gone)
    foreign = agentdb_make.workflow_run(tenant=agentdb_make.tenant_account())
    for key in ("nowhere", gone.id, foreign.id):
        with pytest.raises(NotFoundError):
            await agentdb_uow.workflow_run_steps.record(key, "plan", "planner", "running")
    with pytest.raises(NotFoundError):
        await agentdb_uow.workflow_run_steps.finish(left.id, "failed")
    with pytest.raises(TenantMismatchError):
        await agentdb_uow.workflow_run_steps.finish(left.id, "failed", tenant_id=uuid4())


async def test_a_run_that_has_ended_takes_no_running_step(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Nothing would ever end it; one that has ended too is recorded late."""
    run = agentdb_make.workflow_run(status="cancelled")
    record = agentdb_uow.workflow_run_steps.record
    with pytest.raises(InvalidTransitionError):
        await record(run.id, "plan", "planner", "running")

    assert (await record(run.id, "plan", "planner", "failed")).status == "failed"


async def test_a_taken_id_and_an_unknown_state_store_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The error undoes its verb alone."""
    step = agentdb_make.workflow_run_step()
    record = agentdb_uow.workflow_run_steps.record
    with pytest.raises(DuplicateError):
        await record(step.workflow_run_id, "plan", "planner", "running", id=step.id)
    for status, key in (("done", "s"), ("running", "")):
        with pytest.raises(InvalidValueError):
            await record(step.workflow_run_id, "plan", "planner", status, id=key)

    assert await agentdb_uow.workflow_run_steps.count() == 1


async def test_a_step_ends_once(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """From running alone; the same end again is unchanged, another is refused."""
    step = agentdb_make.workflow_run_step(raw_payload={"a": 1})
    finish = agentdb_uow.workflow_run_steps.finish
    done = await finish(step.id, "succeeded", response_text="yes", usage_input_tokens=3, now=NOON)
    again = await finish(step.id, "succeeded", response_text="no")
    with pytest.raises(InvalidTransitionError):
        await finish(step.id, "failed")
    with pytest.raises(InvalidValueError, match=r"workflow_run_steps\.status"):
        await finish(step.id, "running")
    with pytest.raises(NotFoundError):
        await finish("nowhere", "failed")

    assert again is done
    assert (done.status, done.ended_at, done.response_text) == ("succeeded", NOON, "yes")
    assert (done.usage_input_tokens, done.raw_payload) == (3, {"a": 1})


@pytest.mark.agentdb_commits
async def test_eight_concurrent_steps_are_numbered_without_gaps(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All eight are stored, with the numbers 0 to 7."""
    run, tenant = agentdb_make.workflow_run(), agentdb_make.tenant

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            step = await uow.workflow_run_steps.record(run.id, str(number), "agent", "running")
            return step.sequence_no

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert sorted(outcomes.results) == list(range(8))


@pytest.mark.agentdb_commits
async def test_a_step_that_meets_a_cancellation_waits_and_is_refused(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Recording and finishing decide under the lock of the run, not on what they saw before."""
    step, tenant = agentdb_make.workflow_run_step(), agentdb_make.tenant

    async def cancel(pause: Pause) -> str:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            await cancel_run(uow, step.workflow_run_id)
            await pause()
        return "cancelled"

    async def record(_: Pause) -> str:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            with pytest.raises(InvalidTransitionError):
                await uow.workflow_run_steps.record(step.workflow_run_id, "s", "a", "running")
        return "refused"

    async def finish(_: Pause) -> str:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            with pytest.raises(InvalidTransitionError):
                await uow.workflow_run_steps.finish(step.id, "succeeded")
        return "refused"

    async with StepRunner(agentdb_database, cancel=cancel, record=record, finish=finish) as runner:
        order = ["cancel", "record", "finish"]
        assert await runner.run(order) == ["paused", "waiting", "waiting"]
        results = await runner.finish()

    assert results == {"cancel": "cancelled", "record": "refused", "finish": "refused"}
    async with agentdb_database.read(tenant=tenant.id) as uow:
        _, (stored,) = await uow.workflow_runs.with_steps(step.workflow_run_id)
    assert stored.status == "cancelled"
