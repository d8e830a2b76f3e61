from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import DuplicateError, InvalidValueError, NotFoundError
from agentdb.models import TenantAccount
from agentdb.operations import append_messages
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently


def said(*texts: str) -> list[NewMessage]:
    """Return messages of a user."""
    return [NewMessage(role="user", content=text) for text in texts]


async def test_the_first_messages_make_their_conversation(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With its owner and what the run tells; later ones leave both as they are."""
    member = agentdb_make.tenant_user_membership()
    made, rows = await append_messages(
        agentdb_uow,
        "support-42",
        said("a", "b"),
        create="triage",
        user_id=member.user_id,
        run_metadata={"active_agent": "billing", "last_run_id": "run_1"},
        handoffs=1,
    )
    again, more = await append_messages(agentdb_uow, "support-42", said("c"), create="other")

    assert [row.position for row in [*rows, *more]] == [0, 1, 2]
    assert again is made
    assert (made.agent_entrypoint, made.user_id) == ("triage", member.user_id)
    assert (made.active_agent, made.last_run_id, made.handoff_count) == ("billing", "run_1", 1)
    assert (made.message_count, made.last_message_at) == (3, more[0].created_at)
    assert await agentdb_uow.conversation_ledger_segments.count() == 1


async def test_a_conversation_is_made_on_demand_alone(agentdb_uow: UnitOfWork) -> None:
    """Without an agent to open it, it has to be there; one is not made from an id."""
    for ref in ("absent", uuid4()):
        with pytest.raises(NotFoundError):
            await append_messages(agentdb_uow, ref, said("a"))
    with pytest.raises(InvalidValueError):
        await append_messages(agentdb_uow, uuid4(), said("a"), create="triage")

    assert await agentdb_uow.agent_conversations.count() == 0


REFUSED: dict[str, dict[str, Any]] = {
    "message": {"messages": [*said("a"), NewMessage(role="robot", content="b")]},
    "metadata": {"messages": said("a"), "run_metadata": {"active_agent": "x" * 65}},
    "handoffs": {"messages": said("a"), "handoffs": -1},
    "owner": {"messages": said("a"), "user_id": UUID(int=1)},
}


@pytest.mark.parametrize("name", [*REFUSED, "provider"])
async def test_a_refused_append_leaves_nothing(agentdb_uow: UnitOfWork, name: str) -> None:
    """Neither messages nor the conversation nor what the run told; the unit goes on."""
    taken: dict[str, Any] = {
        "messages": said("a"),
        "run_metadata": {"provider_conversation_id": "conv_1"},
    }
    kept, _ = await append_messages(agentdb_uow, "other", said("x"), create="triage")
    await agentdb_uow.agent_conversations.set_session_state(
        kept.id, provider_conversation_id="conv_1"
    )
    values = REFUSED.get(name, taken)
    with pytest.raises((InvalidValueError, NotFoundError, DuplicateError)):
        await append_messages(agentdb_uow, "support-42", create="triage", **values)

    assert await agentdb_uow.agent_conversations.by_ref("support-42") is None
    _, rows = await append_messages(agentdb_uow, "support-42", said("b"), create="triage")
    assert [row.position for row in rows] == [0]
    assert await agentdb_uow.agent_messages.count() == 2


async def test_a_refused_append_leaves_a_loaded_conversation_as_it_is_stored(
    agentdb_uow: UnitOfWork,
) -> None:
    """The entity that the unit has tells nothing of what was undone."""
    row, _ = await append_messages(agentdb_uow, "support-42", said("a"), create="triage")
    before = (row.active_agent, row.handoff_count, row.message_count, row.updated_at)
    with pytest.raises(InvalidValueError):
        await append_messages(
            agentdb_uow,
            "support-42",
            [NewMessage(role="robot", content="b")],
            run_metadata={"active_agent": "billing"},
            handoffs=3,
        )

    assert before == (row.active_agent, row.handoff_count, row.message_count, row.updated_at)


@pytest.mark.agentdb_commits
async def test_eight_first_messages_meet_in_one_conversation(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """All succeed: positions 0 … 7, one conversation, one segment."""

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            message = said(str(number))
            _, rows = await append_messages(uow, "support-42", message, create="triage")
            return rows[0].position

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert sorted(outcomes.results) == list(range(8)), outcomes.errors
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.agent_conversations.all()
        assert row.message_count == 8
        assert await uow.conversation_ledger_segments.count() == 1


@pytest.mark.agentdb_commits
async def test_sixteen_appenders_leave_no_gap(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each appends batches of two to one conversation: dense, contiguous, stamped in order."""
    appenders, batches = 16, 5

    async def call(number: int) -> list[list[int]]:
        positions: list[list[int]] = []
        for batch in range(batches):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                messages = said(f"{number}.{batch}.0", f"{number}.{batch}.1")
                _, rows = await append_messages(uow, "support-42", messages, create="triage")
                positions.append([row.position for row in rows])
        return positions

    outcomes = await run_concurrently(appenders, call, database=agentdb_database)

    assert outcomes.errors == []
    found = [batch for appender in outcomes.results for batch in appender]
    total = appenders * batches * 2
    assert sorted(found) == [[n, n + 1] for n in range(0, total, 2)]
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        rows = await uow.agent_messages.transcript("support-42", limit=500)
        assert [row.position for row in rows] == list(range(total))
        stamps = [row.created_at for row in rows]
        assert stamps == sorted(stamps)
        assert len(set(stamps)) == total // 2
        (row,) = await uow.agent_conversations.all()
        assert row.message_count == total


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_an_append_does_not_wait_for_other_conversations(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """One waits for an append to its own conversation alone."""
    for key in ("a", "b"):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await append_messages(uow, key, said("x"), create="triage")

    async def append(key: str, pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await append_messages(uow, key, said("y"))
            await pause()

    async with StepRunner(
        agentdb_database,
        first=lambda pause: append("a", pause),
        same=lambda pause: append("a", pause),
        other=lambda pause: append("b", pause),
    ) as runner:
        states = await runner.run(["first", "same", "other"])
        await runner.finish()

    assert states == ["paused", "waiting", "paused"]


async def test_a_system_unit_names_the_tenant(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """And then appends as the tenant's unit does."""
    async with agentdb_database.begin_system(reason="import") as uow:
        row, rows = await append_messages(
            uow, "support-42", said("a"), create="triage", tenant_id=agentdb_tenant.id
        )

        assert (row.tenant_id, len(rows)) == (agentdb_tenant.id, 1)
