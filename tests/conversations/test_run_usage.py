from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.conversations.rows import UsageFields
from agentdb.errors import (
    ConflictError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    ValueOutOfRangeError,
)
from agentdb.models import TenantAccount
from agentdb.testing import Factory, run_concurrently
from tests.conversations.talks import begun, walked

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_a_record_fills_in_what_is_not_given(agentdb_uow: UnitOfWork) -> None:
    """One request, the sum of the tokens, and nothing below 0."""
    await begun(agentdb_uow)
    record = agentdb_uow.agent_run_usage.record
    row, created = await record(
        "support-42",
        input_tokens=7,
        output_tokens=-3,
        cached_input_tokens=-1,
        requests=-2,
        now=NOON,
    )
    bare, _ = await record("support-42")
    given, _ = await record("support-42", input_tokens=7, total_tokens=9, requests=2)

    assert created
    assert (row.requests, row.input_tokens, row.output_tokens, row.total_tokens) == (0, 7, 0, 7)
    assert (row.cached_input_tokens, row.created_at) == (0, NOON)
    assert (bare.requests, bare.input_tokens, bare.total_tokens) == (1, None, None)
    assert (given.requests, given.total_tokens) == (2, 9)


async def test_a_response_is_recorded_and_added_once(agentdb_uow: UnitOfWork) -> None:
    """The second time returns the row as it is; without an id every call counts."""
    conversation = await begun(agentdb_uow)
    usage: UsageFields = {
        "input_tokens": 5,
        "output_tokens": 4,
        "reasoning_output_tokens": 3,
        "cached_input_tokens": 2,
        "agent_key": "triage",
    }
    record = agentdb_uow.agent_run_usage.record
    first, created = await record("support-42", response_id="r1", **usage)
    second, again = await record(conversation.id, response_id="r1", input_tokens=500)

    assert (created, again) == (True, False)
    assert first is second
    assert first.input_tokens == 5
    assert totals(conversation) == [5, 4, 3, 2, 1]
    await record("support-42", **usage)
    await record("support-42", **usage)
    assert totals(conversation) == [15, 12, 9, 6, 3]


def totals(conversation: Any) -> list[int]:
    """Return the totals of a conversation."""
    return [
        conversation.total_tokens_prompt,
        conversation.total_tokens_completion,
        conversation.reasoning_tokens,
        conversation.total_cached_input_tokens,
        conversation.total_requests,
    ]


async def test_a_response_belongs_to_one_conversation(agentdb_uow: UnitOfWork) -> None:
    """Recording it for another one is refused, and the unit goes on."""
    await begun(agentdb_uow, "a")
    other = await begun(agentdb_uow, "b")
    await agentdb_uow.agent_run_usage.record("a", response_id="r1")
    with pytest.raises(ConflictError):
        await agentdb_uow.agent_run_usage.record("b", response_id="r1", input_tokens=1)

    assert totals(other) == [0, 0, 0, 0, 0]
    await agentdb_uow.agent_run_usage.record("b", response_id="r2")


async def test_usage_for_another_tenants_conversation_changes_nothing(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """It does not exist; a response of another tenant conflicts and is not shown."""
    mine = await begun(agentdb_uow)
    await agentdb_uow.agent_run_usage.record("support-42", response_id="r1", input_tokens=1)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        with pytest.raises(NotFoundError):
            await uow.agent_run_usage.record(mine.id, input_tokens=7)
        with pytest.raises(NotFoundError):
            await uow.agent_conversations.add_usage(mine.id, prompt=7)
        await begun(uow)
        with pytest.raises(ConflictError):
            await uow.agent_run_usage.record("support-42", response_id="r1")
        assert await uow.agent_run_usage.count() == 0

    assert totals(mine) == [1, 0, 0, 0, 1]
    assert await agentdb_uow.agent_run_usage.count() == 1


@pytest.mark.parametrize("usage", [{"agent_key": "x" * 65}, {"input_tokens": "1"}, {"nonsense": 1}])
async def test_a_refused_record_adds_nothing(
    agentdb_uow: UnitOfWork, usage: dict[str, Any]
) -> None:
    """With an id and without one; the unit goes on."""
    conversation = await begun(agentdb_uow)
    for response in ("r1", None):
        with pytest.raises(InvalidValueError):
            await agentdb_uow.agent_run_usage.record("support-42", response_id=response, **usage)
    with pytest.raises(ValueOutOfRangeError):
        await agentdb_uow.agent_run_usage.record("support-42", input_tokens=2**31)

    assert totals(conversation) == [0, 0, 0, 0, 0]
    assert await agentdb_uow.agent_run_usage.count() == 0


@pytest.mark.agentdb_commits
async def test_of_eight_records_of_one_response_one_adds(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """All return its row."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(_: int) -> tuple[int, bool]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            record = uow.agent_run_usage.record
            row, created = await record("support-42", response_id="r1", input_tokens=3)
            return row.id, created

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len({key for key, _ in outcomes.results}) == 1
    assert sum(created for _, created in outcomes.results) == 1
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (conversation,) = await uow.agent_conversations.all()
        assert totals(conversation) == [3, 0, 0, 0, 1]


async def test_the_history_of_a_conversation_is_newest_first(agentdb_uow: UnitOfWork) -> None:
    """Rows of one instant by id, each once; an absent conversation is told."""
    await begun(agentdb_uow)
    await begun(agentdb_uow, "other")
    usage = agentdb_uow.agent_run_usage
    rows = [(await usage.record("support-42", now=NOON))[0].id for _ in range(5)]
    await usage.record("other")
    pages = await walked(lambda after: usage.history("support-42", after=after, limit=2))

    assert [[row.id for row in page] for page in pages] == [rows[:2:-1], rows[2:0:-1], rows[:1]]
    with pytest.raises(NotFoundError):
        await usage.history("absent")


async def test_totals_are_sums_of_a_half_open_window(agentdb_uow: UnitOfWork) -> None:
    """The start counts, the end does not; without a run the sums are 0."""
    await begun(agentdb_uow)
    usage = agentdb_uow.agent_run_usage
    for at in (NOON, NOON + DAY):
        await usage.record("support-42", input_tokens=2**31 - 1, now=at)

    (both,) = await usage.totals(NOON, NOON + 2 * DAY)
    assert (both.key, both.runs, both.requests, both.input_tokens) == (None, 2, 2, 2**32 - 2)
    (first,) = await usage.totals(NOON, NOON + DAY)
    assert (first.runs, first.total_tokens) == (1, 2**31 - 1)
    (none,) = await usage.totals(NOON + 2 * DAY, NOON + 3 * DAY)
    assert (none.runs, none.requests, none.total_tokens, none.cached_input_tokens) == (0, 0, 0, 0)


async def test_totals_are_grouped(agentdb_uow: UnitOfWork) -> None:
    """By agent, provider or UTC day, in order, those without one last."""
    await begun(agentdb_uow)
    usage = agentdb_uow.agent_run_usage
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    for agent, at in (("b", NOON), (None, midnight), ("a", midnight - timedelta(microseconds=1))):
        await usage.record("support-42", agent_key=agent, provider="openai", now=at)
    window = (NOON, NOON + DAY)

    agents = await usage.totals(*window, by="agent_key")
    assert [(group.key, group.runs) for group in agents] == [("a", 1), ("b", 1), (None, 1)]
    providers = await usage.totals(*window, by="provider")
    assert [(group.key, group.requests) for group in providers] == [("openai", 3)]
    days = await usage.totals(*window, by="day")
    assert [(group.key, group.runs) for group in days] == [
        (date(2026, 3, 2), 2),
        (date(2026, 3, 3), 1),
    ]
    assert await usage.totals(midnight + DAY, midnight + 2 * DAY, by="day") == []


async def test_totals_of_no_grouping_or_window_are_refused(agentdb_uow: UnitOfWork) -> None:
    """Naive instants and unknown groupings."""
    usage = agentdb_uow.agent_run_usage
    with pytest.raises(NaiveDatetimeError):
        await usage.totals(datetime(2026, 3, 2), NOON)  # noqa: DTZ001 -- what is refused
    with pytest.raises(InvalidValueError):
        await usage.totals(NOON, NOON, by="id")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- what a caller without a checker may pass


async def test_totals_are_those_of_one_tenant(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A system unit sums up all of them, or one."""
    await begun(agentdb_uow)
    await agentdb_uow.agent_run_usage.record("support-42", now=NOON)
    other = agentdb_make.tenant_account()
    async with agentdb_database.begin(tenant=other.id) as uow:
        await begun(uow)
        await uow.agent_run_usage.record("support-42", now=NOON)
        (own,) = await uow.agent_run_usage.totals(NOON, NOON + DAY)
    async with agentdb_database.begin_system(reason="test") as uow:
        (everything,) = await uow.agent_run_usage.totals(NOON, NOON + DAY)
        (one,) = await uow.agent_run_usage.totals(NOON, NOON + DAY, tenant_id=other.id)

    assert (own.runs, everything.runs, one.runs) == (1, 2, 1)


RECORDS = st.lists(
    st.tuples(st.sampled_from([None, "r1", "r2", "r3"]), st.integers(-5, 2**31 - 1)), max_size=8
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=RECORDS)
async def test_totals_count_every_response_once(
    agentdb_uow: UnitOfWork, records: list[tuple[str | None, int]]
) -> None:
    """Whatever is repeated: the conversation's total is the saturated sum of its rows."""
    key = uuid4().hex
    conversation = await begun(agentdb_uow, key)
    expected: dict[str, int] = {}
    for number, (response, tokens) in enumerate(records):
        name = f"{key}-{response or number}"
        await agentdb_uow.agent_run_usage.record(
            key, response_id=None if response is None else name, input_tokens=tokens
        )
        expected.setdefault(name, max(tokens, 0))
    rows = await agentdb_uow.agent_run_usage.history(key)

    assert sorted(row.input_tokens or 0 for row in rows) == sorted(expected.values())
    assert conversation.total_tokens_prompt == min(sum(expected.values()), 2**31 - 1)
    assert conversation.total_requests == len(expected)
