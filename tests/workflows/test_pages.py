from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, Page, UnitOfWork
from agentdb.errors import InvalidCursorError, InvalidValueError, NaiveDatetimeError
from agentdb.testing import Factory, Queries
from tests.plans import plans_of, sorts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Read = Callable[[str | None], Awaitable[Page[Any]]]


async def walked(read: Read) -> list[list[Any]]:
    """Return the pages of a walk."""
    pages: list[list[Any]] = []
    after: str | None = None
    while after is not None or not pages:
        page = await read(after)
        pages.append(list(page))
        after = page.next_cursor
    return pages


async def test_a_walk_over_runs_of_one_instant_shows_each_once(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Five runs in pages of two: newest first, then by id, none repeated and none lost."""
    for key in "caebd":
        agentdb_make.workflow_run(id=key, started_at=NOON)
    pages = await walked(lambda after: agentdb_uow.workflow_runs.search(after=after, limit=2))

    assert [[found.run.id for found in page] for page in pages] == [["e", "d"], ["c", "b"], ["a"]]


async def test_a_walk_over_steps_of_one_number_shows_each_once(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The steps of a run come by number, first one first, then by id."""
    run = agentdb_make.workflow_run()
    for key, number in (("d", 1), ("a", 1), ("c", 1), ("z", 0), ("b", 2)):
        agentdb_make.workflow_run_step(workflow_run=run, id=key, sequence_no=number)
    agentdb_make.workflow_run_step(workflow_run=run, id="gone", deleted_at=NOON)
    agentdb_make.workflow_run_step(id="other")
    steps = agentdb_uow.workflow_run_steps
    pages = await walked(lambda after: steps.for_workflow_run(run.id, after=after, limit=2))

    assert [[step.id for step in page] for page in pages] == [["z", "a"], ["c", "d"], ["b"]]


async def test_a_search_counts_live_steps_and_tells_how_long_a_run_took(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """In two statements, however many runs and steps there are."""
    took = timedelta(seconds=7)
    done = agentdb_make.workflow_run(
        status="failed", started_at=NOON, ended_at=NOON + took, final_output_text="x"
    )
    runs = agentdb_make.workflow_run(started_at=NOON + took)
    for gone in (None, None, NOON):
        agentdb_make.workflow_run_step(workflow_run=done, deleted_at=gone)
    with agentdb_queries(max=2):
        page = await agentdb_uow.workflow_runs.search()

    assert [(run.id, steps, duration) for run, steps, duration in page] == [
        (runs.id, 0, None),
        (done.id, 2, took),
    ]


async def test_a_search_finds_runs_by_each_filter(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Filters narrow together; ``since`` is included, ``until`` is not; deleted ones on demand."""
    conversation = agentdb_make.conversation(key="support")
    agentdb_make.workflow_run(id="a", workflow_key="x", started_at=NOON, conversation=conversation)
    later = NOON + timedelta(hours=1)
    agentdb_make.workflow_run(id="b", workflow_key="x", status="failed", started_at=later)
    agentdb_make.workflow_run(id="c", workflow_key="y", started_at=later, deleted_at=later)
    search = agentdb_uow.workflow_runs.search

    async def ids(**filters: Any) -> list[str]:
        return [found.run.id for found in await search(**filters)]

    assert await ids() == ["b", "a"]
    assert await ids(include_deleted=True) == ["c", "b", "a"]
    assert await ids(workflow_key="x", status="failed") == ["b"]
    assert await ids(conversation="support") == await ids(conversation=conversation.id) == ["a"]
    assert await ids(conversation="nowhere") == await ids(conversation=uuid4()) == []
    assert (await ids(since=later), await ids(until=later)) == (["b"], ["a"])
    assert await ids(status="unheard of") == []
    assert await ids(workflow_key="x" * 500) == []


async def test_a_cursor_belongs_to_its_search(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Damaged, of other filters and of another tenant: refused; so is a page that is none."""
    agentdb_make.workflow_run(workflow_key="x")
    agentdb_make.workflow_run(workflow_key="x")
    search = agentdb_uow.workflow_runs.search
    cursor = (await search(workflow_key="x", limit=1)).next_cursor
    assert cursor is not None

    for after, workflow in ((cursor, "y"), (cursor, None), (f"{cursor}A", "x"), ("", "x")):
        with pytest.raises(InvalidCursorError):
            await search(workflow_key=workflow, after=after)
    with pytest.raises(InvalidValueError):
        await search(limit=501)
    with pytest.raises(NaiveDatetimeError):
        await search(since=datetime(2026, 3, 2))  # noqa: DTZ001 -- what is refused


async def test_a_cursor_does_not_lead_into_another_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Cursors are bound to the tenant that they were made for."""
    other = agentdb_make.tenant_account()
    agentdb_make.workflow_run()
    agentdb_make.workflow_run()
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        cursor = (await uow.workflow_runs.search(limit=1)).next_cursor
    async with agentdb_database.begin(tenant=other.id) as uow:
        assert (await uow.workflow_runs.search()).items == ()
        with pytest.raises(InvalidCursorError):
            await uow.workflow_runs.search(after=cursor)


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    "filters",
    [{}, {"workflow_key": "x", "status": "failed"}, {"since": NOON, "until": NOON}],
    ids=["all", "filtered", "between"],
)
async def test_a_page_of_runs_is_a_range_of_the_tenants_index(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, filters: dict[str, Any]
) -> None:
    """The pages scan nothing and sort nothing; steps are counted by an index."""
    agentdb_make.workflow_run_step()
    plans = await plans_of(agentdb_uow, agentdb_uow.workflow_runs.search(**filters, limit=1))
    page, count = plans

    page.assert_uses_index("ix_workflow_runs_tenant_started")
    page.assert_scans_nothing()
    assert not sorts(page)
    count.assert_scans_nothing()


@pytest.mark.agentdb_plans
async def test_the_next_page_of_runs_is_a_range_too(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The position is part of the range, however deep it is."""
    for _ in range(3):
        agentdb_make.workflow_run(started_at=NOON)
    search = agentdb_uow.workflow_runs.search
    cursor = (await search(limit=1)).next_cursor
    page, _ = await plans_of(agentdb_uow, search(after=cursor, limit=1))

    page.assert_uses_index("ix_workflow_runs_tenant_started")
    page.assert_scans_nothing()
    assert not sorts(page)
    assert re.search(r"ROW\(started_at, .*\) <|\(started_at,id\)<", page.text), page.text


@pytest.mark.agentdb_plans
async def test_the_runs_of_a_conversation_are_found_by_an_index(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """No page of a conversation scans the runs of others."""
    conversation = agentdb_make.conversation()
    found = agentdb_uow.workflow_runs.search(conversation=conversation.id)
    for plan in await plans_of(agentdb_uow, found):
        plan.assert_scans_nothing()


@pytest.mark.agentdb_plans
async def test_a_page_of_steps_is_a_range_of_the_runs_index(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """In the order of their numbers, first page and later ones alike."""
    run = agentdb_make.workflow_run()
    for _ in range(3):
        agentdb_make.workflow_run_step(workflow_run=run)
    steps = agentdb_uow.workflow_run_steps
    cursor = (await steps.for_workflow_run(run.id, limit=1)).next_cursor
    for after in (None, cursor):
        page = steps.for_workflow_run(run.id, after=after, limit=1)
        (plan,) = await plans_of(agentdb_uow, page)

        plan.assert_uses_index("ix_workflow_run_steps_run_seq")
        plan.assert_scans_nothing()
        assert not sorts(plan)
