from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.conversations.models import AgentConversation, AgentMessage
from agentdb.conversations.rows import NewRunEvent
from agentdb.conversations.statements import TOUCH_EVERY
from agentdb.errors import (
    ConflictError,
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantRequiredError,
    ValueTooLongError,
)
from agentdb.ledger.models import ConversationLedgerSegment
from agentdb.models import TenantAccount
from agentdb.testing import run_concurrently


def said(*texts: str) -> list[NewMessage]:
    """Return messages of a user."""
    return [NewMessage(role="user", content=text) for text in texts]


async def begun(uow: UnitOfWork, key: str = "support-42") -> AgentConversation:
    """Return a new conversation."""
    conversation, _ = await uow.agent_conversations.get_or_create(key, "triage")
    return conversation


async def test_the_second_call_returns_the_first_conversation_unchanged(
    agentdb_uow: UnitOfWork,
) -> None:
    """get_or_create makes a conversation once and leaves a present one as it is."""
    first, made = await agentdb_uow.agent_conversations.get_or_create("k", "triage", topic_hint="a")
    second, again = await agentdb_uow.agent_conversations.get_or_create("k", "other")

    assert (made, again) == (True, False)
    assert (second.agent_entrypoint, second.topic_hint, second.external_key) == ("triage", "a", "k")
    assert first is second


@pytest.mark.agentdb_commits
async def test_eight_first_calls_make_one_conversation(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Of eight concurrent get_or_create, all succeed and one makes the row."""

    async def call(_: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            row, created = await uow.agent_conversations.get_or_create("k", "triage")
            return row.id, created

    results = await run_concurrently(8, call, database=agentdb_database)

    made = [r for r in results if isinstance(r, tuple)]
    assert len(made) == 8
    assert (len({key for key, _ in made}), sum(created for _, created in made)) == (1, 1)


@pytest.mark.agentdb_commits
async def test_one_external_key_works_in_two_tenants(agentdb_database: Database) -> None:
    """Two tenants use the same key for conversations of their own."""
    async with agentdb_database.begin_system(reason="test") as uow:
        tenants = [await uow.tenant_accounts.create(f"Tenant {n}", f"tenant-{n}") for n in (1, 2)]
    found: list[AgentConversation] = []
    for tenant in tenants:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            await uow.agent_messages.append((await begun(uow)).id, said(tenant.name))
    for tenant in tenants:
        async with agentdb_database.read(tenant=tenant.id) as uow:
            row = await uow.agent_conversations.by_ref("support-42")
            assert row is not None
            page = await uow.agent_messages.transcript("support-42")
            assert [tenant.name] == [message.text for message in page]
            found.append(row)

    assert len({row.id for row in found}) == 2


@pytest.mark.parametrize("key", ["", "x" * 219, "a\x00b", "\ud800"])
async def test_a_key_that_cannot_be_stored_is_refused(agentdb_uow: UnitOfWork, key: str) -> None:
    """Empty, over-long and unstorable keys raise, and the unit goes on."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_conversations.get_or_create(key, "triage")

    assert (await begun(agentdb_uow)).external_key == "support-42"


async def test_a_key_may_have_218_characters_and_look_like_a_uuid(agentdb_uow: UnitOfWork) -> None:
    """The longest key is found again; text that looks like an id stays a key."""
    for key in ("x" * 218, str(uuid4())):
        row = await begun(agentdb_uow, key)
        assert row is await agentdb_uow.agent_conversations.by_ref(key)


async def test_a_key_does_not_begin_with_its_tenant(agentdb_uow: UnitOfWork) -> None:
    """A key that already has the stored form is refused: it would be ambiguous."""
    with pytest.raises(InvalidValueError):
        await begun(agentdb_uow, f"{agentdb_uow.tenant}:support-42")


async def test_an_unknown_reference_finds_nothing(agentdb_uow: UnitOfWork) -> None:
    """Reads of an absent conversation return nothing, writes raise NotFoundError."""
    assert await agentdb_uow.agent_conversations.by_ref("absent") is None
    assert await agentdb_uow.agent_conversations.by_ref(uuid4()) is None
    assert await agentdb_uow.agent_conversations.by_ref("x" * 1000) is None
    for ref in ("absent", uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.agent_messages.append(ref, said("hi"))
        with pytest.raises(NotFoundError):
            await agentdb_uow.agent_messages.transcript(ref)


async def test_a_system_unit_names_the_tenant_of_a_key(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A system unit needs a tenant to read a key or to write, and then works like the tenant's."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(TenantRequiredError):
            await uow.agent_conversations.by_ref("k")
        with pytest.raises(TenantRequiredError):
            await uow.agent_conversations.get_or_create("k", "triage")
        tenant = agentdb_tenant.id
        row, _ = await uow.agent_conversations.get_or_create("k", "triage", tenant_id=tenant)
        stored = await uow.agent_messages.append("k", said("hi"), tenant_id=tenant)
        page = await uow.agent_messages.transcript(row.id)

        assert [stored[0].id] == [message.id for message in page]


async def test_positions_count_from_zero_over_batches(agentdb_uow: UnitOfWork) -> None:
    """Appends continue the positions, and the conversation counts them and when."""
    conversation = await begun(agentdb_uow)
    first = await agentdb_uow.agent_messages.append(conversation.id, said("a", "b"))
    second = await agentdb_uow.agent_messages.append("support-42", said("c"))

    assert [row.position for row in [*first, *second]] == [0, 1, 2]
    assert (3, second[0].created_at) == (conversation.message_count, conversation.last_message_at)


async def test_a_message_comes_back_as_it_was_given(agentdb_uow: UnitOfWork) -> None:
    """Every column of a message survives, on append and on reading."""
    given = NewMessage(
        role="assistant",
        content={"text": "é\U0001f600", "number": 1e23, "big": 2**70},
        attachments=[{"name": "a.txt"}],
        agent_type="triage",
        tool_name="search",
        tool_call_id="call_1",
        token_count_prompt=1,
        token_count_completion=2,
        reasoning_tokens=3,
        latency_ms=4,
        content_checksum="c" * 32,
        run_id="run_1",
    )
    (stored,) = await agentdb_uow.agent_messages.append((await begun(agentdb_uow)).id, [given])
    (read,) = await agentdb_uow.agent_messages.transcript("support-42")

    assert stored == read
    assert given.content == read.content
    assert read.attachments == [{"name": "a.txt"}]
    assert (
        read.tool_name,
        read.tool_call_id,
        read.latency_ms,
        read.run_id,
    ) == ("search", "call_1", 4, "run_1")


async def test_an_empty_batch_changes_nothing(agentdb_uow: UnitOfWork) -> None:
    """Appending no messages stores none, and still tells an absent conversation."""
    conversation = await begun(agentdb_uow)

    assert await agentdb_uow.agent_messages.append(conversation.id, []) == []
    assert conversation.message_count == 0
    with pytest.raises(NotFoundError):
        await agentdb_uow.agent_messages.append("absent", [])


BAD = {
    "role": NewMessage(role="robot", content="x"),
    "long": NewMessage(role="user", content="x", tool_name="t" * 129),
    "nul": NewMessage(role="user", content="a\x00b"),
    "surrogate": NewMessage(role="user", content={"text": "\ud800"}),
    "nan": NewMessage(role="user", content={"score": float("nan")}),
    "number": NewMessage(role="user", content="x", latency_ms=2**31),
    "naive": NewMessage(role="user", content="x", created_at=datetime(2026, 1, 1)),  # noqa: DTZ001
    "list": NewMessage(role="user", content=["x"]),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- what a caller without a checker may pass
}


@pytest.mark.parametrize("name", BAD)
async def test_a_batch_with_a_bad_message_stores_nothing(
    agentdb_uow: UnitOfWork, name: str
) -> None:
    """One refused value refuses its batch; positions and the unit are as before."""
    conversation = await begun(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_messages.append(conversation.id, [*said("a"), BAD[name]])
    rows = await agentdb_uow.agent_messages.append(conversation.id, said("b"))

    assert [row.position for row in rows] == [0]
    assert await agentdb_uow.agent_messages.count() == 1


@pytest.mark.agentdb_commits
async def test_eight_first_messages_get_positions_without_a_gap(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight concurrent first messages: positions 0…7, one conversation, one segment."""

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            conversation = await begun(uow)
            (row,) = await uow.agent_messages.append(conversation.id, said(str(number)))
            return row.position

    positions = await run_concurrently(8, call, database=agentdb_database)

    assert list(range(8)) == sorted(p for p in positions if isinstance(p, int))
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (conversation,) = await uow.agent_conversations.all()
        assert conversation.message_count == 8
        assert await uow.conversation_ledger_segments.count() == 1


@pytest.mark.agentdb_commits
async def test_eight_appends_to_one_conversation_are_contiguous_batches(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Concurrent batches do not interleave, none is lost, and stamps follow the positions."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(number: int) -> list[int]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            batch = said(*(f"{number}.{n}" for n in range(5)))
            return [row.position for row in await uow.agent_messages.append("support-42", batch)]

    batches = await run_concurrently(8, call, database=agentdb_database)

    ranges = [list(range(b[0], b[0] + 5)) for b in batches if isinstance(b, list)]
    assert ranges == batches
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        page = await uow.agent_messages.transcript("support-42", limit=100)
        assert list(range(40)) == [row.position for row in page]
        stamps = [row.created_at for row in page]
        assert sorted(stamps) == stamps
        assert len(set(stamps)) == 8


async def test_a_clock_that_goes_back_does_not_turn_the_stamps_round(
    agentdb_uow: UnitOfWork,
) -> None:
    """A message is stamped after every message and frame before it, whatever the clock says."""
    conversation = await begun(agentdb_uow)
    late = datetime(2031, 1, 1, tzinfo=UTC)
    early = late - timedelta(days=400)
    (first,) = await agentdb_uow.agent_messages.append(conversation.id, said("a"), now=late)
    frame = {
        "schema": "public_sse_v1",
        "kind": "final",
        "stream_id": "s",
        "event_id": 1,
        "server_timestamp": "2020-01-01T00:00:00.000Z",
    }
    await agentdb_uow.conversation_ledger_events.append(conversation.id, [frame], now=early)
    (second,) = await agentdb_uow.agent_messages.append(conversation.id, said("b"), now=early)
    (event,) = await agentdb_uow.conversation_ledger_events.replay(conversation.id)

    assert first.created_at == late
    assert first.created_at < event.ingested_at < second.created_at


async def test_an_explicit_time_is_kept_for_imports(agentdb_uow: UnitOfWork) -> None:
    """An imported message keeps the instant that it is given."""
    then = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    message = NewMessage(role="user", content="old", created_at=then)
    (row,) = await agentdb_uow.agent_messages.append((await begun(agentdb_uow)).id, [message])

    assert then == row.created_at


async def test_a_burst_of_appends_touches_the_conversation_rarely(agentdb_uow: UnitOfWork) -> None:
    """updated_at is moved once it lags by some seconds, not by every append."""
    conversation = await begun(agentdb_uow)
    start = conversation.updated_at
    messages = agentdb_uow.agent_messages
    await messages.append(conversation.id, said("a"), now=start + timedelta(seconds=1))
    soon = conversation.updated_at
    (row,) = await messages.append(
        conversation.id, said("b"), now=start + TOUCH_EVERY + timedelta(seconds=1)
    )

    assert start == soon
    assert row.created_at == conversation.updated_at


async def test_the_transcript_pages_in_both_directions(agentdb_uow: UnitOfWork) -> None:
    """Following the cursors yields each message once, in order of its position."""
    conversation = await begun(agentdb_uow)
    await agentdb_uow.agent_messages.append(conversation.id, said(*map(str, range(5))))
    for direction, expected in (("asc", [0, 1, 2, 3, 4]), ("desc", [4, 3, 2, 1, 0])):
        seen: list[int] = []
        after: str | None = None
        while True:
            page = await agentdb_uow.agent_messages.transcript(
                "support-42",
                direction=direction,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- a tuple of literals is widened
                after=after,
                limit=2,
            )
            seen += [row.position for row in page]
            after = page.next_cursor
            if after is None:
                break

        assert expected == seen


async def test_a_transcript_refuses_cursors_of_others(agentdb_uow: UnitOfWork) -> None:
    """A cursor belongs to its conversation and direction."""
    for key in ("one", "two"):
        await agentdb_uow.agent_messages.append((await begun(agentdb_uow, key)).id, said("a", "b"))
    page = await agentdb_uow.agent_messages.transcript("one", limit=1)
    for arguments in ({"ref": "two"}, {"ref": "one", "direction": "desc"}, {"ref": "one"}):
        after = page.next_cursor if len(arguments) > 1 or arguments["ref"] == "two" else "x"
        with pytest.raises(InvalidCursorError):
            await agentdb_uow.agent_messages.transcript(after=after, **arguments)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- arguments by name


async def test_a_truncated_segment_hides_what_lies_behind_its_bound(
    agentdb_uow: UnitOfWork,
) -> None:
    """Messages behind the bound of a truncated segment are left out, unless asked for."""
    conversation = await begun(agentdb_uow)
    await agentdb_uow.agent_messages.append(conversation.id, said("a", "b", "c"))
    await agentdb_uow.session.execute(
        update(ConversationLedgerSegment)
        .where(ConversationLedgerSegment.conversation_id == conversation.id)
        .values(truncated_at=datetime.now(UTC), visible_through_message_position=0)
    )
    await agentdb_uow.agent_messages.append(conversation.id, said("d"))
    visible = await agentdb_uow.agent_messages.transcript(conversation.id)
    everything = await agentdb_uow.agent_messages.transcript(conversation.id, visible_only=False)

    assert [row.position for row in visible] == [0, 3]
    assert [row.position for row in everything] == [0, 1, 2, 3]
    indexes = [s.segment_index for s in await agentdb_uow.conversation_ledger_segments.all()]
    assert sorted(indexes) == [0, 1]


async def test_generic_writes_of_messages_are_refused(agentdb_uow: UnitOfWork) -> None:
    """Positions and stamps are kept by the verb alone; the refusal names it."""
    with pytest.raises(PermissionDeniedError, match="append"):
        await agentdb_uow.agent_messages.update(1, role="user")
    with pytest.raises(PermissionDeniedError, match="append"):
        await agentdb_uow.agent_messages.delete(1)


async def test_a_large_message_is_stored_and_one_too_large_refused(
    agentdb_uow: UnitOfWork,
) -> None:
    """Two megabytes of distinct words are stored; a document above the cap raises."""
    conversation = await begun(agentdb_uow)
    words = " ".join(f"word{n}" for n in range(200_000))
    await agentdb_uow.agent_messages.append(conversation.id, said(words))
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.agent_messages.append(conversation.id, said("x" * (17 * 1024 * 1024)))
    length = select(func.count()).select_from(AgentMessage)

    assert (await agentdb_uow.session.execute(length)).scalar_one() == 1


def item(text: str, **values: object) -> NewRunEvent:
    """Return a message item of a run."""
    return NewRunEvent(run_item_type="message", content_text=text, **values)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- columns by name


async def test_a_second_batch_of_run_events_after_one_of_one_is_numbered_on(
    agentdb_uow: UnitOfWork,
) -> None:
    """Numbers go on after a batch of exactly one item."""
    conversation = await begun(agentdb_uow)
    events = agentdb_uow.agent_run_events
    await events.append(conversation.id, [item("a")])
    rows, skipped = await events.append(conversation.id, [item("b"), item("c")])

    assert ([row.sequence_no for row in rows], skipped) == ([1, 2], 0)


async def test_a_retried_run_event_is_skipped(agentdb_uow: UnitOfWork) -> None:
    """An item of a stored response is a retry if type, name, call and, without one, text agree."""
    conversation = await begun(agentdb_uow)
    events = agentdb_uow.agent_run_events
    batch = [
        item("a", response_id="r1"),
        item("b", response_id="r1"),
        NewRunEvent(run_item_type="tool_call", response_id="r1", tool_call_id="t1"),
    ]
    await events.append(conversation.id, batch)
    retry = NewRunEvent(
        run_item_type="tool_call", response_id="r1", tool_call_id="t1", call_arguments=[1]
    )
    rows, skipped = await events.append(
        conversation.id, [*batch, retry, item("c", response_id="r1"), item("a")]
    )

    assert (skipped, [row.content_text for row in rows]) == (4, ["c", "a"])
    assert [row.sequence_no for row in rows] == [3, 4]


async def test_an_explicit_number_is_kept_skipped_or_refused(agentdb_uow: UnitOfWork) -> None:
    """The next number is taken, an identical row skipped, another one or a gap refused."""
    conversation = await begun(agentdb_uow)
    events = agentdb_uow.agent_run_events
    await events.append(conversation.id, [item("a", sequence_no=0)])
    _, skipped = await events.append(conversation.id, [item("a", sequence_no=0)])

    assert skipped == 1
    for other in (item("b", sequence_no=0), item("b", sequence_no=7)):
        with pytest.raises(ConflictError):
            await events.append(conversation.id, [other])


async def test_arguments_that_are_no_object_are_wrapped(agentdb_uow: UnitOfWork) -> None:
    """A tool's arguments and output are stored as objects."""
    conversation = await begun(agentdb_uow)
    event = NewRunEvent(run_item_type="tool_call", call_arguments=[1], call_output="done")
    ((row,), _) = await agentdb_uow.agent_run_events.append(conversation.id, [event])

    assert (row.call_arguments, row.call_output) == ({"value": [1]}, {"value": "done"})


@pytest.mark.agentdb_commits
async def test_eight_concurrent_run_event_appends_are_all_stored(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight concurrent appends: every item stored, numbers dense."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            batch = [item(f"{number}.{n}") for n in range(3)]
            rows, _ = await uow.agent_run_events.append("support-42", batch)
            return len(rows)

    assert await run_concurrently(8, call, database=agentdb_database) == [3] * 8
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        numbers = [row.sequence_no for row in await uow.agent_run_events.all()]
        assert list(range(24)) == sorted(numbers)
