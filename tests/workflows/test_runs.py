from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    TenantRequiredError,
    ValueTooLongError,
)
from agentdb.models import WorkflowRun
from agentdb.testing import Factory, FrozenClock, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_a_started_run_is_running_and_named_after_its_conversation(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Keys are held as canonical text; the conversation by its stored key, found by id or key."""
    user, conversation = agentdb_make.user(), agentdb_make.conversation(key="support")
    by_id = await agentdb_uow.workflow_runs.start(
        "triage", user.id, conversation=conversation.id, now=NOON, trace_id="t"
    )
    by_key = await agentdb_uow.workflow_runs.start(
        "triage", user.id, id="r" * 64, conversation="support", metadata_json={"a": 1}
    )

    assert (by_id.status, by_id.started_at, by_id.ended_at) == ("running", NOON, None)
    assert (by_id.tenant_id, by_id.user_id) == (str(agentdb_uow.tenant), str(user.id))
    assert by_id.conversation_id == by_key.conversation_id == conversation.conversation_key
    assert (by_id.trace_id, by_key.id, by_key.metadata_json) == ("t", "r" * 64, {"a": 1})


async def test_a_run_without_an_instant_starts_by_the_clock_of_the_unit(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """The clock that a test freezes stamps the start and the end."""
    run = await agentdb_uow.workflow_runs.start("triage", agentdb_make.user().id)
    started = agentdb_freeze_now()
    agentdb_freeze_now.advance(timedelta(seconds=3))
    await agentdb_uow.workflow_runs.finish(run.id, "succeeded")

    assert (run.started_at, run.ended_at) == (started, started + timedelta(seconds=3))


async def test_a_run_for_an_absent_conversation_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By id, by key and of another tenant alike; the unit goes on."""
    user = agentdb_make.user()
    other = agentdb_make.conversation(tenant=agentdb_make.tenant_account())
    for ref in (uuid4(), "nowhere", other.id, other.conversation_key):
        with pytest.raises(NotFoundError):
            await agentdb_uow.workflow_runs.start("triage", user.id, conversation=ref)

    assert await agentdb_uow.workflow_runs.count() == 0


async def test_a_run_is_started_by_a_member(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """No foreign key guards the user of a run: an unknown one and a stranger are refused alike."""
    stranger = agentdb_make.user(tenant=agentdb_make.tenant_account())
    for user in (uuid4(), stranger.id):
        with pytest.raises(NotFoundError, match="users"):
            await agentdb_uow.workflow_runs.start("triage", user)


async def test_a_system_unit_names_the_tenant_of_a_run(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A run is never made without one."""
    user, tenant = agentdb_make.user(), agentdb_make.tenant
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(TenantRequiredError):
            await uow.workflow_runs.start("triage", user.id)
        run = await uow.workflow_runs.start("triage", user.id, tenant_id=tenant.id)

        assert run.tenant_id == str(tenant.id)
        with pytest.raises(NotFoundError):
            await uow.workflow_runs.finish(run.id, "failed", tenant_id=uuid4())
        assert (await uow.workflow_runs.finish(run.id, "failed")).status == "failed"


async def test_a_run_id_is_as_long_as_run_events_can_refer_to(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """65 characters and none are refused before SQL; a taken id undoes its own verb alone."""
    user = agentdb_make.user()
    with pytest.raises(ValueTooLongError) as raised:
        await agentdb_uow.workflow_runs.start("triage", user.id, id="r" * 65)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.workflow_runs.start("triage", user.id, id="")
    await agentdb_uow.workflow_runs.start("triage", user.id, id="r")
    with pytest.raises(DuplicateError):
        await agentdb_uow.workflow_runs.start("triage", user.id, id="r")

    assert (raised.value.table, raised.value.column, raised.value.limit) == (
        "workflow_runs",
        "id",
        64,
    )
    assert await agentdb_uow.workflow_runs.count() == 1


async def test_a_run_ends_with_its_output(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """What is not given stays as it is, and None is NULL."""
    run = agentdb_make.workflow_run(final_output_text="draft")
    done = await agentdb_uow.workflow_runs.finish(
        run.id, "succeeded", final_output_structured=["a"], now=NOON
    )

    assert (done.status, done.ended_at) == ("succeeded", NOON)
    assert (done.final_output_text, done.final_output_structured) == ("draft", ["a"])


async def test_the_same_end_again_changes_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A worker that lost the answer repeats the call; time and output stay."""
    run = agentdb_make.workflow_run()
    await agentdb_uow.workflow_runs.finish(run.id, "failed", final_output_text="a", now=NOON)
    again = await agentdb_uow.workflow_runs.finish(run.id, "failed", final_output_text="b")

    assert (again.final_output_text, again.ended_at) == ("a", NOON)


@pytest.mark.parametrize("stored", ["succeeded", "failed", "cancelled"])
async def test_a_run_that_has_ended_stays_so(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, stored: str
) -> None:
    """A cancelled run is not finished, nor does any other end become another."""
    run = agentdb_make.workflow_run(status=stored)
    for status in {"succeeded", "failed", "cancelled"} - {stored}:
        with pytest.raises(InvalidTransitionError):
            await agentdb_uow.workflow_runs.finish(run.id, status, final_output_text="late")

    row = await agentdb_uow.workflow_runs.require(run.id)
    assert (row.status, row.final_output_text) == (stored, None)


@pytest.mark.parametrize("status", ["running", "done", ""])
async def test_a_run_ends_in_a_state_that_is_an_end(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, status: str
) -> None:
    """Any other is refused before SQL."""
    with pytest.raises(InvalidValueError, match=r"workflow_runs\.status"):
        await agentdb_uow.workflow_runs.finish(agentdb_make.workflow_run().id, status)


async def test_a_refused_output_ends_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A value that no column takes leaves the run running, and the unit usable."""
    run = agentdb_make.workflow_run()
    with pytest.raises(InvalidValueError):
        await agentdb_uow.workflow_runs.finish(
            run.id, "succeeded", final_output_structured=math.nan
        )

    assert (await agentdb_uow.workflow_runs.require(run.id)).status == "running"


async def test_an_absent_and_a_deleted_run_do_not_end(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Deleted rows do not exist for verbs."""
    gone = agentdb_make.workflow_run(deleted_at=NOON)
    for key in ("nowhere", gone.id):
        with pytest.raises(NotFoundError):
            await agentdb_uow.workflow_runs.finish(key, "failed")
        with pytest.raises(NotFoundError):
            await agentdb_uow.workflow_runs.with_steps(key)


@pytest.mark.agentdb_commits
async def test_of_eight_ends_one_counts(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Concurrent workers that end a run differently: one does, all others are refused."""
    run, tenant = agentdb_make.workflow_run(), agentdb_make.tenant

    async def call(number: int) -> WorkflowRun:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            status = ["succeeded", "failed"][number % 2]
            return await uow.workflow_runs.finish(run.id, status, final_output_text=str(number))

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    async with agentdb_database.read(tenant=tenant.id) as uow:
        stored = await uow.workflow_runs.require(run.id)
    assert {type(error) for error in outcomes.errors} == {InvalidTransitionError}
    assert len(outcomes.errors) == 4
    assert {(row.status, row.final_output_text, row.ended_at) for row in outcomes.results} == {
        (stored.status, stored.final_output_text, stored.ended_at)
    }


async def test_a_run_comes_with_its_live_steps_in_order(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By number and then by id; deleted ones on demand."""
    run = agentdb_make.workflow_run()
    for key, number, gone in (("c", 1, None), ("b", 1, None), ("z", 0, None), ("a", 2, NOON)):
        agentdb_make.workflow_run_step(
            workflow_run=run, id=key, sequence_no=number, deleted_at=gone
        )
    found, steps = await agentdb_uow.workflow_runs.with_steps(run.id)
    every = await agentdb_uow.workflow_runs.with_steps(run.id, include_deleted=True)

    assert found.id == run.id
    assert [step.id for step in steps] == ["z", "b", "c"]
    assert [step.id for step in every.steps] == ["z", "b", "c", "a"]


async def test_deleting_a_run_deletes_its_steps(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """No foreign key does it: the verb does, deleted steps included; others keep theirs."""
    run, other = agentdb_make.workflow_run(), agentdb_make.workflow_run()
    agentdb_make.workflow_run_step(workflow_run=run, deleted_at=NOON)
    loaded = agentdb_make.workflow_run_step(workflow_run=run)
    kept = agentdb_make.workflow_run_step(workflow_run=other)
    await agentdb_uow.workflow_run_steps.require(loaded.id)

    assert await agentdb_uow.workflow_runs.delete(run.id) is True
    assert await agentdb_uow.workflow_runs.delete(run.id) is False
    assert await agentdb_uow.workflow_run_steps.get(loaded.id) is None
    rest = await agentdb_uow.workflow_run_steps.all(include_deleted=True)
    assert [step.id for step in rest] == [kept.id]
