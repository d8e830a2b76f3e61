from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, LedgerFrame, Settings
from agentdb.errors import (
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    ResyncRequiredError,
    UnavailableError,
)
from agentdb.ledger.tail import Tail
from agentdb.models import TenantAccount
from agentdb.objects import MemoryObjectStore
from agentdb.operations import delete_conversation, truncate_from
from agentdb.testing import FaultProxy
from tests.ledger.conversations import asked, begun, places
from tests.ledger.frames import frame, frames

NEVER = 3600.0
"""Seconds between two looks, so that a test does not see the second one."""

pytestmark = pytest.mark.agentdb_commits


@pytest.fixture
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tails with ``poll=NEVER`` wait as long at once: only a hint wakes them."""
    monkeypatch.setattr("agentdb.ledger.tail.FIRST_WAIT", NEVER)


class Chat:
    """A conversation of a tenant, in units of their own."""

    def __init__(self, database: Database, tenant: UUID) -> None:
        self.database = database
        self.tenant = tenant

    async def append(self, *given: dict[str, Any], **options: Any) -> None:
        """Append frames and commit."""
        async with self.database.begin(tenant=self.tenant) as uow:
            await begun(uow)
            await uow.conversation_ledger_events.append("chat", given, **options)

    def tail(self, **options: Any) -> Tail:
        """Follow it."""
        return self.database.tail("chat", tenant=self.tenant, **options)


@pytest.fixture
async def chat(agentdb_database: Database, agentdb_tenant: TenantAccount) -> Chat:
    """Return a conversation with three frames."""
    chat = Chat(agentdb_database, agentdb_tenant.id)
    await chat.append(*frames(3))
    return chat


async def some(tail: AsyncIterator[LedgerFrame], count: int) -> list[tuple[str, int]]:
    """Return the places of the next frames of a tail."""
    return places([await asyncio.wait_for(anext(tail), 20) for _ in range(count)])


async def rest(tail: AsyncIterator[LedgerFrame]) -> list[tuple[str, int]]:
    """Return the places of all frames to the end of a tail."""
    async with asyncio.timeout(20):
        return places([item async for item in tail])


async def test_a_tail_replays_and_goes_on(chat: Chat) -> None:
    """What is stored comes first, then what is committed later, each frame once and in order."""
    async with chat.tail(poll=0.05) as tail:
        assert await some(tail, 3) == [("s1", 1), ("s1", 2), ("s1", 3)]
        await chat.append(*frames(5))
        assert await some(tail, 2) == [("s1", 4), ("s1", 5)]
        await chat.append(*frames(2, "s2"))
        assert await some(tail, 2) == [("s2", 1), ("s2", 2)]


async def test_a_tail_goes_on_from_its_cursor(chat: Chat) -> None:
    """The cursor of a tail serves a later tail and a replay, and theirs serve a tail."""
    first = chat.tail()
    assert first.cursor is None
    await some(first, 2)
    await chat.append(frame(4))
    async with chat.database.read(tenant=chat.tenant) as uow:
        page = await uow.conversation_ledger_events.replay("chat", after=first.cursor, limit=1)

    assert [item.event_id for item in page] == [3]
    assert await some(chat.tail(after=first.cursor), 2) == [("s1", 3), ("s1", 4)]
    assert await some(chat.tail(after=page.cursor), 1) == [("s1", 4)]


async def test_a_tail_reads_more_than_a_page(chat: Chat) -> None:
    """Page follows page without a wait."""
    await chat.append(*frames(1203, "long"))

    assert await some(chat.tail(poll=NEVER), 1206) == [
        *[("s1", event) for event in (1, 2, 3)],
        *[("long", event) for event in range(1, 1204)],
    ]


@pytest.mark.usefixtures("only_hints")
async def test_a_commit_of_this_process_wakes_a_tail(chat: Chat) -> None:
    """The hint comes after the commit, so a tail need not poll; a rollback gives none."""
    async with chat.tail(poll=NEVER) as tail:
        await some(tail, 3)
        waiting = asyncio.create_task(some(tail, 1))
        with pytest.raises(RuntimeError):
            async with chat.database.begin(tenant=chat.tenant) as uow:
                await uow.conversation_ledger_events.append("chat", [frame(9)])
                raise RuntimeError
        await chat.append(frame(4))
        assert await waiting == [("s1", 4)]


async def test_a_tail_finds_what_another_process_commits(agentdb_url: str, chat: Chat) -> None:
    """Without a hint it looks again after the time of a poll."""
    async with Database(agentdb_url) as other, chat.tail(poll=0.05) as tail:
        await some(tail, 3)
        await Chat(other, chat.tenant).append(frame(4))
        assert await some(tail, 1) == [("s1", 4)]


@pytest.mark.usefixtures("only_hints")
async def test_a_waiting_tail_holds_no_connection(agentdb_url: str, chat: Chat) -> None:
    """With one connection in all, others write while ten tails wait."""
    settings = Settings(pool_size=1, max_overflow=0)
    async with Database(agentdb_url, settings=settings) as database:
        one = Chat(database, chat.tenant)
        tails = [one.tail(poll=NEVER) for _ in range(10)]
        for tail in tails:
            await some(tail, 3)
        waiting = [asyncio.create_task(some(tail, 1)) for tail in tails]
        await one.append(frame(4))
        assert await asyncio.gather(*waiting) == [[("s1", 4)]] * 10


@pytest.mark.usefixtures("only_hints")
async def test_a_tail_ends_when_it_is_closed(chat: Chat) -> None:
    """Another task closes it: who waits finds the end, and so does whoever asks later."""
    tail = chat.tail(poll=NEVER)
    await some(tail, 3)
    waiting = asyncio.create_task(rest(tail))
    await asyncio.sleep(0)
    await tail.aclose()

    assert await waiting == []
    assert await rest(tail) == []
    assert tail.cursor is not None


@pytest.mark.usefixtures("only_hints")
async def test_a_tail_ends_when_it_is_told(chat: Chat) -> None:
    """The event ends a wait, and a tail that it finds set yields nothing."""
    stop = asyncio.Event()
    tail = chat.tail(poll=NEVER, stop=stop)
    await some(tail, 3)
    waiting = asyncio.create_task(rest(tail))
    await asyncio.sleep(0)
    stop.set()

    assert await waiting == []
    assert await rest(chat.tail(stop=stop)) == []


@pytest.mark.parametrize("kind", ["final", "error"])
async def test_a_tail_ends_after_a_terminal_frame_if_asked(chat: Chat, kind: str) -> None:
    """The terminal frame is the last; a tail of the stream that begins behind it ends at once."""
    await chat.append(frame(4, kind=kind), frame(1, "s2"))
    tail = chat.tail(stream_id="s1", until_terminal=True)

    assert await rest(tail) == [("s1", event) for event in (1, 2, 3, 4)]
    assert await rest(chat.tail(stream_id="s1", after=tail.cursor, until_terminal=True)) == []
    again = chat.tail(stream_id="s1", last_event_id=4, until_terminal=True)
    assert await rest(again) == []
    assert await some(chat.tail(), 5) == [*[("s1", event) for event in (1, 2, 3, 4)], ("s2", 1)]


async def test_a_tail_follows_what_it_is_asked_for(chat: Chat) -> None:
    """Stream, run and kinds choose frames of both halves."""
    async with (
        chat.tail(stream_id="s2", poll=0.05) as streams,
        chat.tail(kinds=["final"], poll=0.05) as kinds,
        chat.tail(workflow_run_id="run", poll=0.05) as runs,
    ):
        await chat.append(frame(1, "s2"), frame(4, workflow={"workflow_run_id": "run"}))
        await chat.append(frame(2, "s2", kind="final"))

        assert await some(streams, 2) == [("s2", 1), ("s2", 2)]
        assert await some(kinds, 1) == [("s2", 2)]
        assert await some(runs, 1) == [("s1", 4)]


async def test_a_tail_begins_after_the_last_event_of_a_client(chat: Chat) -> None:
    """Also where the client is ahead of the ledger: what it has seen does not come again."""
    behind = chat.tail(stream_id="s1", last_event_id=2, poll=0.05)
    ahead = chat.tail(stream_id="s1", last_event_id=5, poll=0.05)
    assert await some(behind, 1) == [("s1", 3)]
    waiting = asyncio.create_task(some(ahead, 2))
    await asyncio.sleep(0)
    await chat.append(*frames(5)[3:])
    await chat.append(frame(6), frame(7))

    assert await waiting == [("s1", 6), ("s1", 7)]
    await chat.append(frame(8))
    assert await some(chat.tail(stream_id="s1", after=ahead.cursor), 1) == [("s1", 8)]


@pytest.mark.usefixtures("only_hints")
@pytest.mark.parametrize("event", [2**31, 2**63 - 1])
async def test_a_tail_of_a_client_far_ahead_waits(chat: Chat, event: int) -> None:
    """Above 32 bits, too: the number comes from a browser."""
    tail = chat.tail(stream_id="s1", last_event_id=event, poll=NEVER)
    waiting = asyncio.create_task(rest(tail))
    async with asyncio.timeout(20):
        while tail.cursor is None and not waiting.done():  # noqa: ASYNC110 -- it tells no event
            await asyncio.sleep(0)
    await tail.aclose()

    assert await waiting == []
    assert tail.cursor is not None


async def test_a_truncated_position_needs_a_resync(chat: Chat) -> None:
    """A tail behind the cut raises and is done, one before it goes on."""
    async with chat.database.begin(tenant=chat.tenant) as uow:
        question = await asked(uow, "chat")
    before, behind = chat.tail(poll=0.05), chat.tail(poll=0.05)
    await chat.append(*frames(2, "s2"))
    await some(before, 3)
    before = chat.tail(after=before.cursor, poll=0.05)
    await some(behind, 5)
    async with chat.database.begin(tenant=chat.tenant) as uow:
        await truncate_from(uow, "chat", question)
    await chat.append(frame(1, "s3"))

    assert await some(before, 1) == [("s3", 1)]
    with pytest.raises(ResyncRequiredError):
        await some(behind, 1)
    assert await rest(behind) == []
    with pytest.raises(ResyncRequiredError):
        await some(chat.tail(after=behind.cursor), 1)


async def test_a_deleted_conversation_ends_its_tails(chat: Chat) -> None:
    """Whoever has read some of it needs a resync, whoever has not finds no conversation."""
    behind, waiting = chat.tail(poll=0.05), chat.tail(poll=0.05, stream_id="none")
    await some(behind, 3)
    task = asyncio.create_task(some(waiting, 1))
    await asyncio.sleep(0)
    async with chat.database.begin(tenant=chat.tenant) as uow:
        await delete_conversation(uow, "chat")

    with pytest.raises(ResyncRequiredError):
        await some(behind, 1)
    with pytest.raises(NotFoundError):
        await task


async def test_a_tail_of_nothing_raises(chat: Chat) -> None:
    """Unknown conversations, those of others and cursors of other filters are refused."""
    database = chat.database
    async with database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    tail = chat.tail()
    await some(tail, 1)
    for refused in (
        database.tail("none", tenant=chat.tenant),
        database.tail("chat", tenant=other.id),
    ):
        with pytest.raises(NotFoundError):
            await some(refused, 1)
    with pytest.raises(InvalidCursorError):
        await some(chat.tail(after=tail.cursor, kinds=["final"]), 1)


@pytest.mark.parametrize(
    "options",
    [
        {"last_event_id": 3},
        {"last_event_id": 3, "stream_id": "s1", "after": "cursor"},
        {"poll": 0},
        {"poll": float("nan")},
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    agentdb_database: Database, options: dict[str, Any]
) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidValueError):
        agentdb_database.tail("chat", tenant=uuid4(), **options)


@pytest.mark.usefixtures("only_hints")
async def test_a_reader_who_gave_up_waiting_can_ask_again(chat: Chat) -> None:
    """A time limit on the next frame, as for a heartbeat of SSE, loses nothing."""
    async with chat.tail(poll=NEVER) as tail:
        await some(tail, 3)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(tail), 0.02)
        await chat.append(frame(4))
        assert await some(tail, 1) == [("s1", 4)]


async def test_a_tail_reads_spilled_frames_from_the_store(chat: Chat) -> None:
    """With a store each frame comes whole; without, the large ones come without text."""
    store = MemoryObjectStore()
    large = frame(4, text="x" * 5000)
    await chat.append(large, frame(5), store=store, inline_limit=1000)
    whole = chat.tail(store=store)
    seen = [await anext(whole) for _ in range(5)]
    bare = chat.tail()

    assert [item.payload for item in seen] == [*frames(3), large, frame(5)]
    assert [(await anext(bare)).raw is None for _ in range(5)] == [False] * 3 + [True, False]


@pytest.mark.agentdb_only("postgres")
async def test_a_tail_outlives_an_outage(agentdb_fault_proxy: FaultProxy, chat: Chat) -> None:
    """While the server is away it waits, and afterwards it goes on where it was."""
    tail = chat.tail(poll=0.05)
    await some(tail, 3)
    waiting = asyncio.create_task(some(tail, 1))
    agentdb_fault_proxy.refuse()
    with pytest.raises(UnavailableError):
        await chat.append(frame(4))
    assert not waiting.done()
    agentdb_fault_proxy.heal()
    await chat.append(frame(4))

    assert await waiting == [("s1", 4)]


async def test_a_database_that_stays_away_is_given_up(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the patience the error of the database is raised, and the tail is done."""
    monkeypatch.setattr("agentdb.ledger.tail.PATIENCE", 0.0)
    tail = chat.tail(poll=0.05)
    await some(tail, 3)

    def refuse(**_: object) -> None:
        raise UnavailableError("the database is away")

    monkeypatch.setattr(chat.database, "read", refuse)
    with pytest.raises(UnavailableError):
        await some(tail, 1)
    assert await rest(tail) == []
