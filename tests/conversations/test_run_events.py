from __future__ import annotations

import pytest

from agentdb import UnitOfWork
from agentdb.conversations.rows import NewRunEvent
from agentdb.errors import ConflictError, InvalidCursorError, NotFoundError
from agentdb.testing import Factory
from tests.conversations.talks import begun, cut, told, walked


def items(*kinds: str) -> list[NewRunEvent]:
    """Return items of a run."""
    return [NewRunEvent(run_item_type=kind, content_text=kind) for kind in kinds]


async def test_the_history_of_runs_comes_by_number(agentdb_uow: UnitOfWork) -> None:
    """First number first, each once; another conversation's are left out."""
    await begun(agentdb_uow)
    await begun(agentdb_uow, "other")
    events = agentdb_uow.agent_run_events
    await events.append("support-42", items(*"abcde"))
    await events.append("other", items("z"))
    pages = await walked(lambda after: events.history("support-42", after=after, limit=2))

    assert [[row.sequence_no for row in page] for page in pages] == [[0, 1], [2, 3], [4]]


async def test_the_history_is_narrowed_by_workflow_run_and_type(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Filters narrow together; no type finds nothing, and a cursor belongs to its filters."""
    run = agentdb_make.workflow_run()
    await begun(agentdb_uow)
    events = agentdb_uow.agent_run_events
    await events.append("support-42", items("tool_call", "message"))
    await events.append("support-42", items("tool_call", "message"), workflow_run_id=run.id)

    async def numbers(**filters: str | list[str]) -> list[int]:
        page = await events.history("support-42", **filters)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- filters by name
        return [row.sequence_no for row in page]

    assert await numbers(workflow_run_id=run.id) == [2, 3]
    assert await numbers(run_item_types=["tool_call"]) == [0, 2]
    assert await numbers(run_item_types=["message", "tool_call"], workflow_run_id=run.id) == [2, 3]
    assert await numbers(run_item_types=[]) == await numbers(workflow_run_id="x" * 500) == []
    cursor = (await events.history("support-42", limit=1)).next_cursor
    with pytest.raises(InvalidCursorError):
        await events.history("support-42", run_item_types=["message"], after=cursor)


async def test_a_truncation_hides_no_item(agentdb_uow: UnitOfWork) -> None:
    """They are kept for audits."""
    conversation = await told(agentdb_uow, "a", "1", "2")
    await agentdb_uow.agent_run_events.append("a", items("message"))
    await cut(agentdb_uow, conversation, 0)

    assert len(await agentdb_uow.agent_run_events.history("a")) == 1
    with pytest.raises(NotFoundError):
        await agentdb_uow.agent_run_events.history("absent")


async def test_a_run_that_does_not_exist_is_not_named(agentdb_uow: UnitOfWork) -> None:
    """Nothing is stored and the unit goes on."""
    await begun(agentdb_uow)
    with pytest.raises(NotFoundError):
        await agentdb_uow.agent_run_events.append(
            "support-42", items("message"), workflow_run_id="absent"
        )
    rows, _ = await agentdb_uow.agent_run_events.append("support-42", items("message"))

    assert [row.sequence_no for row in rows] == [0]


async def test_an_item_under_a_taken_number_is_a_retry_only_if_it_is_identical(
    agentdb_uow: UnitOfWork,
) -> None:
    """Whatever else differs, its attachments too, would be lost by skipping it."""
    await begun(agentdb_uow)
    events = agentdb_uow.agent_run_events
    stored = NewRunEvent(run_item_type="message", sequence_no=0, attachments=[{"name": "a.txt"}])
    await events.append("support-42", [stored])
    _, skipped = await events.append("support-42", [stored])
    other = NewRunEvent(run_item_type="message", sequence_no=0, attachments=[{"name": "b.txt"}])

    assert skipped == 1
    with pytest.raises(ConflictError):
        await events.append("support-42", [other])
