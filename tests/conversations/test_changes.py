from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.conversations.models import AgentConversation
from agentdb.conversations.totals import MAX_TOTAL
from agentdb.errors import (
    AgentDBError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    ValueTooLongError,
)
from agentdb.models import TenantAccount
from agentdb.testing import run_concurrently
from tests.conversations.talks import begun

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


async def test_an_archived_conversation_is_not_current_until_it_is_brought_back(
    agentdb_uow: UnitOfWork,
) -> None:
    """By id or key; the entity that the unit has tells of it."""
    conversation = await begun(agentdb_uow)
    archived = await agentdb_uow.agent_conversations.archive("support-42", now=LATER)

    assert archived is conversation
    assert (conversation.status, conversation.updated_at) == ("archived", LATER)
    await agentdb_uow.agent_conversations.unarchive(conversation.id, now=NOON)
    assert (conversation.status, conversation.updated_at) == ("active", NOON)


async def test_archiving_twice_changes_nothing(agentdb_uow: UnitOfWork) -> None:
    """The stamp of the first time stays."""
    await begun(agentdb_uow)
    await agentdb_uow.agent_conversations.archive("support-42", now=NOON)
    again = await agentdb_uow.agent_conversations.archive("support-42", now=LATER)

    assert again.updated_at == NOON


async def test_memory_fields_that_are_not_given_stay(agentdb_uow: UnitOfWork) -> None:
    """None clears one."""
    await begun(agentdb_uow, memory_max_turns=3, memory_injection=True)
    row = await agentdb_uow.agent_conversations.set_memory(
        "support-42", memory_strategy="trim", memory_injection=None, now=LATER
    )

    assert (row.memory_strategy, row.memory_max_turns, row.memory_injection) == ("trim", 3, None)
    assert row.updated_at == LATER


async def test_session_state_is_noted(agentdb_uow: UnitOfWork) -> None:
    """What is not given stays; without anything the conversation is left alone."""
    before = await begun(agentdb_uow, session_cursor="c1", updated_at=NOON)
    await agentdb_uow.agent_conversations.set_session_state("support-42")
    assert before.updated_at == NOON

    row = await agentdb_uow.agent_conversations.set_session_state(
        "support-42",
        provider="openai",
        provider_conversation_id="conv_1",
        sdk_session_id="sdk_1",
        last_session_sync_at=LATER,
    )
    assert (row.provider_conversation_id, row.sdk_session_id) == ("conv_1", "sdk_1")
    assert (row.session_cursor, row.last_session_sync_at) == ("c1", LATER)
    found = await agentdb_uow.agent_conversations.by_provider_conversation_id("conv_1")
    assert found is row


async def test_run_metadata_is_set_and_handoffs_add(agentdb_uow: UnitOfWork) -> None:
    """Fields replace, handoffs are counted on."""
    await begun(agentdb_uow)
    apply = agentdb_uow.agent_conversations.apply_run_metadata
    await apply("support-42", handoffs=2, active_agent="billing", last_run_id="run_1")
    row = await apply("support-42", handoffs=3, source_channel="web")

    assert (row.active_agent, row.last_run_id, row.source_channel) == ("billing", "run_1", "web")
    assert row.handoff_count == 5


async def test_a_providers_id_names_one_conversation(agentdb_uow: UnitOfWork) -> None:
    """A taken one is refused, and nothing of the call is kept."""
    await begun(agentdb_uow, "a", provider_conversation_id="conv_1")
    row = await begun(agentdb_uow, "b")
    for verb in ("apply_run_metadata", "set_session_state"):
        with pytest.raises(DuplicateError):
            await getattr(agentdb_uow.agent_conversations, verb)(
                "b", provider="openai", provider_conversation_id="conv_1"
            )

    assert (row.provider, row.provider_conversation_id) == (None, None)


async def test_a_title_is_trimmed_and_replaced(agentdb_uow: UnitOfWork) -> None:
    """One that somebody gives replaces any; the same once more changes nothing."""
    row = await begun(agentdb_uow)
    set_title = agentdb_uow.agent_conversations.set_title

    assert await set_title("support-42", "  My\t lost   parcel ", now=NOON)
    assert (row.display_name, row.title_generated_at) == ("My lost parcel", None)
    assert not await set_title("support-42", "My lost parcel", now=LATER)
    assert row.updated_at == NOON
    assert await set_title("support-42", "Found")
    assert row.display_name == "Found"


async def test_a_generated_title_never_replaces_another(agentdb_uow: UnitOfWork) -> None:
    """It is stamped; one that somebody gives takes the stamp away."""
    row = await begun(agentdb_uow)
    set_title = agentdb_uow.agent_conversations.set_title

    assert await set_title("support-42", "Parcel", generated=True, now=NOON)
    assert (row.display_name, row.title_generated_at) == ("Parcel", NOON)
    assert not await set_title("support-42", "Other", generated=True, now=LATER)
    assert (row.display_name, row.title_generated_at) == ("Parcel", NOON)
    assert await set_title("support-42", "Parcel")
    assert (row.display_name, row.title_generated_at) == ("Parcel", None)


@pytest.mark.parametrize("title", ["", " \t ", "x" * 129, "a\x00b"])
async def test_a_title_that_is_none_is_refused(agentdb_uow: UnitOfWork, title: str) -> None:
    """Empty, over-long or unstorable; 128 characters are one."""
    await begun(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_conversations.set_title("support-42", title)
    assert await agentdb_uow.agent_conversations.set_title("support-42", "x" * 128)


async def test_totals_stay_at_the_largest_integer(agentdb_uow: UnitOfWork) -> None:
    """However much is added; other totals count on."""
    row = await begun(agentdb_uow, total_tokens_prompt=MAX_TOTAL - 1, handoff_count=MAX_TOTAL)
    await agentdb_uow.agent_conversations.add_usage("support-42", prompt=5, requests=1)
    assert (row.total_tokens_prompt, row.total_requests) == (MAX_TOTAL, 1)
    await agentdb_uow.agent_conversations.add_usage("support-42", prompt=2**70, completion=2**31)
    assert (row.total_tokens_prompt, row.total_tokens_completion) == (MAX_TOTAL, MAX_TOTAL)
    await agentdb_uow.agent_conversations.apply_run_metadata("support-42", handoffs=1)
    assert row.handoff_count == MAX_TOTAL


@pytest.mark.parametrize("amount", [-1, True, 1.5, "1"])
async def test_totals_only_ever_add(agentdb_uow: UnitOfWork, amount: Any) -> None:
    """What is no whole number from 0 is refused."""
    row = await begun(agentdb_uow, total_requests=7)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_conversations.add_usage("support-42", requests=amount)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_conversations.apply_run_metadata("support-42", handoffs=amount)

    assert row.total_requests == 7


AMOUNT = st.one_of(st.integers(0, 1000), st.integers(MAX_TOTAL - 5, 2**33))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(amounts=st.lists(st.tuples(AMOUNT, AMOUNT), max_size=6))
async def test_a_total_is_the_sum_or_the_largest_integer(
    agentdb_uow: UnitOfWork, amounts: list[tuple[int, int]]
) -> None:
    """Whatever is added in whatever order."""
    row = await begun(agentdb_uow, uuid4().hex)
    for prompt, cached in amounts:
        await agentdb_uow.agent_conversations.add_usage(row.id, prompt=prompt, cached=cached)
    sums = [sum(pair[n] for pair in amounts) for n in (0, 1)]

    assert [row.total_tokens_prompt, row.total_cached_input_tokens] == [
        min(total, MAX_TOTAL) for total in sums
    ]


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "archive": ("archive", {}),
    "unarchive": ("unarchive", {}),
    "memory": ("set_memory", {"memory_max_turns": 1}),
    "metadata": ("apply_run_metadata", {"handoffs": 1}),
    "usage": ("add_usage", {"prompt": 1}),
    "title": ("set_title", {"display_name": "x"}),
    "session": ("set_session_state", {"session_cursor": "x"}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_conversation_that_is_not_there_is_not_changed(
    agentdb_database: Database, agentdb_uow: UnitOfWork, name: str
) -> None:
    """Nor is another tenant's; the unit goes on."""
    mine = await begun(agentdb_uow)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    verb, values = CHANGES[name]
    async with agentdb_database.begin(tenant=other.id) as uow:
        for ref in ("support-42", mine.id, uuid4()):
            with pytest.raises(NotFoundError):
                await getattr(uow.agent_conversations, verb)(ref, **values)
        await begun(uow)


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("set_memory", {"memory_strategy": "forget"}),
        ("set_memory", {"memory_max_turns": 2**31}),
        ("set_memory", {"nonsense": 1}),
        ("apply_run_metadata", {"active_agent": "x" * 65, "handoffs": 1}),
        ("set_session_state", {"session_cursor": "x" * 129}),
    ],
)
async def test_a_refused_change_leaves_the_conversation_as_it_was(
    agentdb_uow: UnitOfWork, verb: str, values: dict[str, Any]
) -> None:
    """Nothing of the call is kept, and the unit goes on."""
    row = await begun(agentdb_uow, updated_at=NOON)
    with pytest.raises(InvalidValueError):
        await getattr(agentdb_uow.agent_conversations, verb)("support-42", **values)

    assert (row.updated_at, row.handoff_count) == (NOON, 0)
    assert await agentdb_uow.agent_conversations.set_title("support-42", "x")


@pytest.mark.agentdb_commits
async def test_eight_concurrent_additions_are_all_counted(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Totals and handoffs are exact sums."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(number: int) -> UUID:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            conversations = uow.agent_conversations
            await conversations.add_usage("support-42", prompt=number, requests=1)
            return (await conversations.apply_run_metadata("support-42", handoffs=1)).id

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.agent_conversations.all()
        assert (row.total_tokens_prompt, row.total_requests, row.handoff_count) == (28, 8, 8)


@pytest.mark.agentdb_commits
async def test_of_eight_concurrent_generated_titles_one_is_kept(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The first one; the others change nothing."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(number: int) -> tuple[bool, int]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            set_title = uow.agent_conversations.set_title
            return await set_title("support-42", f"title {number}", generated=True), number

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    (winner,) = [number for changed, number in outcomes.results if changed]
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.agent_conversations.all()
        assert row.display_name == f"title {winner}"


async def test_an_error_of_a_verb_is_one_of_ours(agentdb_uow: UnitOfWork) -> None:
    """Refusals name column and limit, so that a host can say what is wrong."""
    row: AgentConversation = await begun(agentdb_uow)
    with pytest.raises(ValueTooLongError) as caught:
        await agentdb_uow.agent_conversations.set_title(row.id, "x" * 129)

    assert isinstance(caught.value, AgentDBError)
    assert (caught.value.column, caught.value.limit) == ("display_name", 128)
