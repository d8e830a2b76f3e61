"""How the databases run the statements of conversations: by index, whatever is stored beside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Result, Select, Update, text

from agentdb import UnitOfWork
from agentdb.conversations.models import AgentConversation
from agentdb.conversations.rows import NewRunEvent
from agentdb.direct import Call, Row
from agentdb.models import TenantAccount
from agentdb.tenancy import CONFINED
from agentdb.testing import Plan, explain
from tests.conversations.talks import begun, said, told
from tests.plans import plans_of

pytestmark = pytest.mark.agentdb_plans

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OVERVIEW = "ix_agent_conversations_tenant_updated"
POSITION = "uq_agent_messages_conversation_id_position"


@pytest.fixture
async def unit(agentdb_uow: UnitOfWork, agentdb_tenant: TenantAccount) -> UnitOfWork:
    """Return a unit in which three of many conversations have messages, items, and the rest."""
    for key in ("a", "b", "c"):
        await told(agentdb_uow, key, "refund", *(f"hello {number}" for number in range(9)))
        events = [NewRunEvent(run_item_type="message") for _ in range(3)]
        await agentdb_uow.agent_run_events.append(key, events)
        await agentdb_uow.conversation_summaries.save(key, "a refund")
        await agentdb_uow.agent_run_usage.record(key, response_id=key, now=NOON)
        # The planner has to see that conversations are many and long, and that a word is rare.
        await agentdb_uow.agent_messages.append(key, said(*(f"filler {n}" for n in range(1000))))
    others = [
        AgentConversation(
            conversation_key=f"{agentdb_tenant.id}:other-{number}",
            tenant_id=agentdb_tenant.id,
            agent_entrypoint="triage",
            updated_at=NOON + timedelta(minutes=number),
        )
        for number in range(500)
    ]
    await agentdb_uow.agent_conversations.add_many(others)
    if agentdb_uow.is_postgresql:
        await agentdb_uow.execute(text("ANALYZE"))
    return agentdb_uow


async def sent_plans(
    unit: UnitOfWork, work: Callable[[], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> list[Plan]:
    """Return the plans of what a verb sends past the filter, with its parameters."""
    plans: list[Plan] = []
    execute, send = unit.execute, unit.send

    async def explained(statement: Any, parameters: dict[str, Any] | None = None) -> Result[Any]:
        if type(statement) in {Select, Update}:
            bound = statement.params(parameters) if parameters else statement
            plans.append(await explain(unit, bound.execution_options(**{CONFINED: True})))
        return await execute(statement, parameters)

    async def sent(*calls: Call, **options: Any) -> list[list[Row]]:
        for call in calls:
            query: Any = call[0]
            if query.is_select and query.get_final_froms():
                bound = query.params(call[1]).execution_options(**{CONFINED: True})
                plans.append(await explain(unit, bound))
        return await send(*calls, **options)

    monkeypatch.setattr(unit, "execute", explained)
    monkeypatch.setattr(unit, "send", sent)
    await work()
    monkeypatch.undo()
    return plans


async def test_an_overview_is_a_range_of_the_tenants_index(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page and later ones; the previews are found by the positions of messages."""
    overview = unit.agent_conversations.overview
    cursor = (await overview(limit=1)).next_cursor
    for after in (None, cursor):
        (page,) = await plans_of(unit, overview(after=after, limit=1, with_preview=False))
        page.assert_uses_index(OVERVIEW)
        page.assert_scans_nothing()
    (previews,) = await sent_plans(unit, lambda: overview(limit=1), monkeypatch)

    previews.assert_uses_index(POSITION)
    previews.assert_scans_nothing()


async def test_an_overview_of_a_user_is_a_range_of_the_users_index(unit: UnitOfWork) -> None:
    """In its order, without sorting."""
    row = await begun(unit, "d")
    work = unit.agent_conversations.overview(user_id=row.id, with_preview=False)
    (page,) = await plans_of(unit, work)

    page.assert_scans_nothing()
    assert page.indexes & {"ix_agent_conversations_user_id", OVERVIEW}


@pytest.mark.agentdb_only("postgres")
async def test_a_search_on_postgresql_begins_with_the_words(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page and later ones; no message is read that lacks them."""
    search = unit.agent_conversations.search
    cursor = (await search("refund", limit=1)).next_cursor
    for after in (None, cursor):
        plans = await sent_plans(unit, partial(search, "refund", after=after), monkeypatch)

        plans[0].assert_uses_index("ix_agent_messages_text_tsv")
        plans[0].assert_scans_nothing()


@pytest.mark.agentdb_only("postgres")
async def test_only_one_of_two_ways_to_search_is_gone(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one is decided once, and not for each row."""
    work = partial(unit.agent_conversations.search, "refund")
    (plan,) = await sent_plans(unit, work, monkeypatch)

    assert plan.text.count("One-Time Filter") == 2


@pytest.mark.agentdb_only("sqlite")
async def test_a_search_on_sqlite_walks_the_conversations_of_the_tenant(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the hits, the messages of each from the last one back."""
    search = unit.agent_conversations.search
    cursor = (await search("refund", limit=1)).next_cursor
    for after in (None, cursor):
        plans = await sent_plans(unit, partial(search, "refund", after=after), monkeypatch)

        plans[0].assert_uses_index(OVERVIEW)
        plans[0].assert_uses_index(POSITION)
        plans[0].assert_scans_nothing()


async def test_the_last_messages_of_many_are_found_from_the_end_of_each(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their positions, without reading all messages of a conversation or sorting them."""
    keys = [row.id for row in await unit.agent_conversations.all(limit=50)]
    work = unit.agent_messages.last_of_many
    (plan,) = await sent_plans(unit, lambda: work(keys, 2), monkeypatch)

    plan.assert_uses_index(POSITION)
    plan.assert_scans_nothing()


async def test_a_page_of_run_events_is_a_range_of_their_numbers(unit: UnitOfWork) -> None:
    """The first page and later ones, with a type and without."""
    history = unit.agent_run_events.history
    for types in (None, ["message"]):
        cursor = (await history("a", run_item_types=types, limit=1)).next_cursor
        for after in (None, cursor):
            work = history("a", run_item_types=types, after=after, limit=1)
            plan = (await plans_of(unit, work))[-1]

            plan.assert_scans_nothing()
            assert any("agent_run_events" in index for index in plan.indexes)


async def test_pages_of_usage_and_the_newest_summary_are_found_by_an_index(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are the sums of a window."""
    page = (await plans_of(unit, unit.agent_run_usage.history("a", limit=1)))[-1]
    page.assert_scans_nothing()
    latest = unit.conversation_summaries.latest("a", agent_key=None)
    summary = (await plans_of(unit, latest))[-1]
    summary.assert_uses_index("ix_conversation_summaries_conversation_id")
    totals = unit.agent_run_usage.totals
    (sums,) = await sent_plans(unit, lambda: totals(NOON, NOON, by="day"), monkeypatch)

    sums.assert_uses_index("ix_agent_run_usage_tenant_created")
    sums.assert_scans_nothing()
