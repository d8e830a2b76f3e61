from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    TenantMismatchError,
)
from agentdb.operations import (
    StartedRun,
    cancel_run,
    delete_run,
    restore_run,
    soft_delete_run,
    start_workflow_run,
)
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_a_start_makes_conversation_message_and_run(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """In the order of the foreign keys; the text of the message is the run's request."""
    user = agentdb_make.user()
    started = await start_workflow_run(
        agentdb_uow,
        "support",
        "triage",
        user_id=user.id,
        create="router",
        message="Help!",
        id="run",
        now=NOON,
        trace_id="t",
    )

    run, conversation, message = started
    assert (conversation.external_key, conversation.agent_entrypoint) == ("support", "router")
    assert (conversation.user_id, conversation.message_count) == (user.id, 1)
    assert message is not None
    assert (message.role, message.text, message.position) == ("user", "Help!", 0)
    assert (run.id, run.conversation_id) == ("run", conversation.conversation_key)
    assert (run.request_message, run.trace_id, run.started_at) == ("Help!", "t", NOON)


async def test_a_start_finds_a_present_conversation(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By key or id, with or without a message; what is given for the run stands."""
    user, conversation = agentdb_make.user(), agentdb_make.conversation(key="k", messages=2)
    said = NewMessage(role="system", content="Go on.")
    first = await start_workflow_run(
        agentdb_uow, "k", "triage", user_id=user.id, create="other", message=said
    )
    second = await start_workflow_run(
        agentdb_uow, conversation.id, "triage", user_id=user.id, request_message="x"
    )

    assert first.conversation.id == second.conversation.id == conversation.id
    assert first.conversation.agent_entrypoint == conversation.agent_entrypoint
    assert first.message is not None
    assert (first.message.position, first.run.request_message) == (2, "Go on.")
    assert (second.message, second.run.request_message) == (None, "x")


async def test_a_start_that_is_refused_leaves_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Whatever fails, neither conversation nor message stays, and the unit goes on."""
    user = agentdb_make.user()
    agentdb_make.workflow_run(id="taken")
    other = agentdb_make.tenant_account()
    stranger, foreign = agentdb_make.user(tenant=other), agentdb_make.conversation(tenant=other)
    refused: list[tuple[Any, dict[str, Any], type[Exception]]] = [
        ("new", {"create": "a", "message": "x", "id": "taken"}, DuplicateError),
        ("new", {"create": "a", "message": "x", "id": "r" * 65}, InvalidValueError),
        ("new", {"create": "a", "message": "x", "metadata_json": {"a": "\0"}}, InvalidValueError),
        ("new", {"create": "a", "message": "\0"}, InvalidValueError),
        (
            "new",
            {"create": "a", "message": NewMessage(role="nobody", content="x")},
            InvalidValueError,
        ),
        ("new", {"message": "x"}, NotFoundError),
        ("new", {"create": "a", "user_id": stranger.id}, NotFoundError),
        ("new", {"create": "a", "message": {"role": "user"}}, InvalidValueError),
        (uuid4(), {"message": "x"}, NotFoundError),
        (uuid4(), {"create": "a"}, InvalidValueError),
        (foreign.id, {"message": "x"}, NotFoundError),
        ("new", {"create": "a", "tenant_id": uuid4()}, TenantMismatchError),
    ]
    for ref, given, error in refused:
        values: dict[str, Any] = {"user_id": user.id, **given}
        with pytest.raises(error):
            await start_workflow_run(agentdb_uow, ref, "triage", **values)

    assert await agentdb_uow.agent_conversations.count() == 0
    assert await agentdb_uow.agent_messages.count() == 0
    assert await agentdb_uow.workflow_runs.count() == 1


@pytest.mark.agentdb_commits
async def test_eight_first_runs_share_one_conversation(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed; the messages have the positions 0 to 7."""
    user, tenant = agentdb_make.user(), agentdb_make.tenant

    async def call(number: int) -> StartedRun:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            return await start_workflow_run(
                uow, "k", "triage", user_id=user.id, create="a", message=str(number)
            )

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    messages = [started.message for started in outcomes.results]
    assert sorted(row.position for row in messages if row is not None) == list(range(8))
    assert len({started.conversation.id for started in outcomes.results}) == 1
    async with agentdb_database.read(tenant=tenant.id) as uow:
        assert len((await uow.workflow_runs.search(conversation="k")).items) == 8


async def test_a_cancelled_run_takes_its_running_steps_along(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Steps that have ended stay; the reason is kept; the second call changes nothing."""
    run = agentdb_make.workflow_run(metadata_json={"a": 1})
    done = agentdb_make.workflow_run_step(workflow_run=run, status="succeeded")
    runs = agentdb_make.workflow_run_step(workflow_run=run)
    loaded = await agentdb_uow.workflow_run_steps.require(runs.id)
    other = agentdb_make.workflow_run_step()

    assert await cancel_run(agentdb_uow, run.id, reason="user", now=NOON) is True
    assert await cancel_run(agentdb_uow, run.id, reason="again") is False

    row, steps = await agentdb_uow.workflow_runs.with_steps(run.id)
    assert (row.status, row.ended_at) == ("cancelled", NOON)
    assert row.metadata_json == {"a": 1, "agentdb.cancelled_reason": "user"}
    assert {step.id: step.status for step in steps} == {done.id: "succeeded", runs.id: "cancelled"}
    assert (loaded.status, loaded.ended_at) == ("cancelled", NOON)
    assert (await agentdb_uow.workflow_run_steps.require(other.id)).status == "running"


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_a_finished_run_is_not_cancelled(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, status: str
) -> None:
    """Its end stays, and so do its steps."""
    run = agentdb_make.workflow_run(status=status)
    step = agentdb_make.workflow_run_step(workflow_run=run)
    with pytest.raises(InvalidTransitionError):
        await cancel_run(agentdb_uow, run.id)

    assert (await agentdb_uow.workflow_runs.require(run.id)).status == status
    assert (await agentdb_uow.workflow_run_steps.require(step.id)).status == "running"


async def test_a_cancelled_run_is_not_finished(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The worker learns it; a cancellation by ``finish`` takes the running steps along too."""
    step, other = agentdb_make.workflow_run_step(), agentdb_make.workflow_run_step()
    await cancel_run(agentdb_uow, step.workflow_run_id)
    with pytest.raises(InvalidTransitionError):
        await agentdb_uow.workflow_runs.finish(step.workflow_run_id, "succeeded")
    await agentdb_uow.workflow_runs.finish(other.workflow_run_id, "cancelled")

    assert (await agentdb_uow.workflow_run_steps.require(other.id)).status == "cancelled"


async def test_a_refused_reason_cancels_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The run and its steps run on."""
    step = agentdb_make.workflow_run_step()
    with pytest.raises(InvalidValueError):
        await cancel_run(agentdb_uow, step.workflow_run_id, reason="\0")

    run, (after,) = await agentdb_uow.workflow_runs.with_steps(step.workflow_run_id)
    assert (run.status, after.status) == ("running", "running")


@pytest.mark.agentdb_commits
async def test_of_eight_cancellations_and_ends_one_wins(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The run and its step tell the same story, whoever came first."""
    step, tenant = agentdb_make.workflow_run_step(), agentdb_make.tenant

    async def call(number: int) -> bool:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            if number % 2:
                return await cancel_run(uow, step.workflow_run_id)
            await uow.workflow_runs.finish(step.workflow_run_id, "succeeded")
            return False

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    async with agentdb_database.read(tenant=tenant.id) as uow:
        run, (after,) = await uow.workflow_runs.with_steps(step.workflow_run_id)
    assert {type(error) for error in outcomes.errors} == {InvalidTransitionError}
    assert len(outcomes.errors) == 4
    cancelled = run.status == "cancelled"
    assert sum(outcomes.results) == cancelled
    assert after.status == ("cancelled" if cancelled else "running")


async def test_a_deleted_run_is_hidden_with_its_steps_and_comes_back(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Steps that were deleted before stay deleted; the first time and reason stay."""
    run, user = agentdb_make.workflow_run(), agentdb_make.user()
    step = agentdb_make.workflow_run_step(workflow_run=run)
    before = agentdb_make.workflow_run_step(workflow_run=run, deleted_at=NOON - DAY)
    delete, by = soft_delete_run, str(user.id)
    assert await delete(agentdb_uow, run.id, user.id, reason="old", now=NOON) is True
    assert await delete(agentdb_uow, run.id, user.id, reason="again") is False

    assert await agentdb_uow.workflow_runs.get(run.id) is None
    found = await agentdb_uow.workflow_runs.with_steps(run.id, include_deleted=True)
    stamps = {s.id: (s.deleted_at, s.deleted_by, s.deleted_reason) for s in found.steps}
    assert (found.run.deleted_at, found.run.deleted_by, found.run.deleted_reason) == (
        NOON,
        by,
        "old",
    )
    assert stamps == {step.id: (NOON, by, "old"), before.id: (NOON - DAY, None, None)}

    restored = await restore_run(agentdb_uow, run.id)
    _, steps = await agentdb_uow.workflow_runs.with_steps(run.id)
    assert (restored.deleted_at, restored.deleted_by, restored.deleted_reason) == (None,) * 3
    assert [(s.id, s.deleted_at, s.deleted_by, s.deleted_reason) for s in steps] == [
        (step.id, None, None, None)
    ]
    assert await restore_run(agentdb_uow, run.id) is restored


async def test_a_run_is_deleted_by_a_member(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """An unknown person, a stranger and a reason that no column takes change nothing."""
    run, user = agentdb_make.workflow_run(), agentdb_make.user()
    stranger = agentdb_make.user(tenant=agentdb_make.tenant_account())
    for by in (uuid4(), stranger.id):
        with pytest.raises(NotFoundError, match="users"):
            await soft_delete_run(agentdb_uow, run.id, by)
    with pytest.raises(InvalidValueError):
        await soft_delete_run(agentdb_uow, run.id, user.id, reason="\0")

    assert await agentdb_uow.workflow_runs.count() == 1


async def test_a_run_is_deleted_for_good(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """With its steps, hidden or not; its run events name no run then, frames keep its id."""
    conversation = agentdb_make.conversation()
    run = agentdb_make.workflow_run(deleted_at=NOON, conversation=conversation)
    step = agentdb_make.workflow_run_step(workflow_run=run, deleted_at=NOON)
    event = agentdb_make.agent_run_event(workflow_run=run, conversation=conversation)
    frame = agentdb_make.conversation_ledger_event(
        conversation=conversation, workflow_run_id=run.id
    )

    assert await delete_run(agentdb_uow, run.id) is True
    assert await delete_run(agentdb_uow, run.id) is False
    assert await agentdb_uow.workflow_runs.count(include_deleted=True) == 0
    assert await agentdb_uow.workflow_run_steps.get(step.id, include_deleted=True) is None
    assert (await agentdb_uow.agent_run_events.require(event.id)).workflow_run_id is None
    stored = await agentdb_uow.conversation_ledger_events.require(frame.id)
    assert stored.workflow_run_id == run.id


async def test_a_young_run_is_kept(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Younger than the given age it is refused; as old as that it goes."""
    run = agentdb_make.workflow_run(started_at=NOON)
    with pytest.raises(InvalidTransitionError):
        await delete_run(
            agentdb_uow, run.id, min_age=DAY, now=NOON + DAY - timedelta(microseconds=1)
        )

    assert await delete_run(agentdb_uow, run.id, min_age=DAY, now=NOON + DAY) is True


@pytest.mark.agentdb_commits
async def test_a_step_recorded_meanwhile_is_not_left_behind(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A worker that records while its run is deleted waits, and then finds no run."""
    run, user, tenant = agentdb_make.workflow_run(), agentdb_make.user(), agentdb_make.tenant

    async def delete(pause: Pause) -> bool:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            await soft_delete_run(uow, run.id, user.id)
            await pause()
        return True

    async def record(_: Pause) -> bool:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            with pytest.raises(NotFoundError):
                await uow.workflow_run_steps.record(run.id, "s", "a", "running")
        return True

    async with StepRunner(agentdb_database, delete=delete, record=record) as runner:
        assert await runner.run(["delete", "record"]) == ["paused", "waiting"]
        assert await runner.finish() == {"delete": True, "record": True}

    async with agentdb_database.read(tenant=tenant.id) as uow:
        assert await uow.workflow_run_steps.count(include_deleted=True) == 0


@pytest.mark.parametrize("verb", [cancel_run, restore_run, soft_delete_run, delete_run])
async def test_no_operation_reaches_a_run_of_another_tenant(
    agentdb_database: Database, agentdb_make: Factory, verb: Callable[..., Awaitable[object]]
) -> None:
    """It answers as for a run that nobody has; a system unit may name the tenant."""
    user = agentdb_make.user()
    arguments = [user.id] if verb is soft_delete_run else []
    other = agentdb_make.tenant_account()
    foreign = agentdb_make.workflow_run(tenant=other)

    async def answer(uow: UnitOfWork, run_id: str, **given: Any) -> object:
        try:
            return await verb(uow, run_id, *arguments, **given)
        except NotFoundError as error:
            return str(error)

    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        assert await answer(uow, foreign.id) == await answer(uow, "nowhere")
        with pytest.raises(TenantMismatchError):
            await verb(uow, foreign.id, *arguments, tenant_id=other.id)
    async with agentdb_database.begin_system(reason="test") as uow:
        nobody = await answer(uow, "nowhere")
        assert await answer(uow, foreign.id, tenant_id=agentdb_make.tenant.id) == nobody
        assert (await uow.workflow_runs.require(foreign.id)).status == "running"
        assert await verb(uow, foreign.id, *arguments, tenant_id=other.id)
