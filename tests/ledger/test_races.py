"""Readers and writers of one conversation at the same time, over connections of their own."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from functools import partial

import pytest

from agentdb import Database, LedgerFrame, NewMessage
from agentdb.ledger.rows import Recorded
from agentdb.models import TenantAccount
from agentdb.testing import Pause, StepRunner, run_concurrently
from tests.ledger.conversations import begun, places, walk
from tests.ledger.frames import frame, frames
from tests.sizes import Size

pytestmark = pytest.mark.agentdb_commits


async def test_sixteen_appenders_store_every_frame_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Batches stay together, ids rise within a stream, and a batch sent twice is stored once."""

    async def call(number: int) -> list[Recorded]:
        found: list[Recorded] = []
        for batch in range(5):
            for _ in range(2):
                async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                    conversation = await begun(uow)
                    part = frames(4 * (batch + 1), f"stream-{number}")[-4:]
                    ledger = uow.conversation_ledger_events
                    found += await ledger.append(conversation, part)
        return found

    outcomes = await run_concurrently(16, call, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(item.inserted for found in outcomes.results for item in found) == 16 * 20
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        seen = await walk(uow, "chat", limit=100)
        assert await uow.conversation_ledger_segments.count() == 1
    for number in range(16):
        mine = [item.event_id for item in seen if item.stream_id == f"stream-{number}"]
        assert mine == list(range(1, 21))
    batches = [{item.stream_id for item in seen[start : start + 4]} for start in range(0, 320, 4)]
    assert {len(batch) for batch in batches} == {1}


async def test_sixteen_writers_of_messages_and_frames_agree_on_an_order(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Stamps follow the appends: of two, the later one's is the greater, across both tables."""

    async def call(number: int) -> None:
        for step in range(4):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                conversation = await begun(uow)
                text = f"{number}-{step}"
                await uow.agent_messages.append(
                    conversation, [NewMessage(role="user", content=text)]
                )
                await uow.conversation_ledger_events.append(conversation, [frame(1, text)])

    outcomes = await run_concurrently(16, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        messages = (await uow.agent_messages.transcript("chat", limit=500)).items
        stored = await walk(uow, "chat", limit=500)
    assert [row.position for row in messages] == list(range(64))
    assert [row.text for row in messages] == [item.stream_id for item in stored]
    stamps = [
        stamp
        for row, item in zip(messages, stored, strict=True)
        for stamp in (row.created_at, item.ingested_at)
    ]
    assert stamps == sorted(set(stamps))


async def test_a_tail_does_not_pass_an_append_that_has_not_committed(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The one that comes second waits, so that ids follow the commits of a conversation."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def append(stream: str, pause: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await uow.conversation_ledger_events.append("chat", frames(2, stream))
            await pause()

    chat = agentdb_database.tail("chat", tenant=agentdb_tenant.id, poll=0.02)
    first, second = partial(append, "first"), partial(append, "second")
    async with StepRunner(agentdb_database, first=first, second=second) as runner:
        assert await runner.run(["first", "second"]) == ["paused", "waiting"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(chat), 0.1)
        await runner.finish()

    async with asyncio.timeout(20):
        seen = [await anext(chat) for _ in range(4)]
    assert places(seen) == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]


@pytest.mark.agentdb_only("postgres")
async def test_conversations_commit_out_of_order_and_their_tails_miss_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A conversation with greater ids commits first; the one with smaller ids loses none."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for key in ("slow", "fast"):
            await begun(uow, key)
    tails = {
        key: agentdb_database.tail(key, tenant=agentdb_tenant.id, poll=0.02)
        for key in ("slow", "fast")
    }
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as slow:
        (first,) = await slow.conversation_ledger_events.append("slow", [frame(1)])
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as fast:
            (second,) = await fast.conversation_ledger_events.append("fast", [frame(1)])
        assert first.id < second.id
        assert (await asyncio.wait_for(anext(tails["fast"]), 20)).id == second.id
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(tails["slow"]), 0.1)

    assert (await asyncio.wait_for(anext(tails["slow"]), 20)).id == first.id


async def test_readers_that_reconnect_at_random_see_each_frame_once_and_in_order(
    agentdb_database: Database, agentdb_tenant: TenantAccount, size: Size
) -> None:
    """Sixteen writers in four conversations, eight readers that come and go: nothing is missed."""
    writers, batches, length = 16, size(6, full=6250), 10
    keys = [f"chat-{number}" for number in range(4)]
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for key in keys:
            await begun(uow, key)
    expected = writers // len(keys) * batches * length

    async def write(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 -- the same in every run
        for batch in range(batches):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                part = frames(length * (batch + 1), f"w{number}")[-length:]
                await uow.conversation_ledger_events.append(keys[number % len(keys)], part)
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)  # others come in between the append and its commit

    async def read(number: int) -> list[LedgerFrame]:
        chance = random.Random(1000 + number)  # noqa: S311 -- the same in every run
        seen: list[LedgerFrame] = []
        cursor: str | None = None
        while len(seen) < expected:
            tail = agentdb_database.tail(
                keys[number % len(keys)], tenant=agentdb_tenant.id, after=cursor, poll=0.05
            )
            count = min(chance.randint(1, 25), expected - len(seen))
            seen += [await anext(tail) for _ in range(count)]
            cursor = tail.cursor
            await tail.aclose()
        return seen

    async with asyncio.timeout(60 * size(1, full=60)):
        writing = asyncio.gather(*map(write, range(writers)))
        seen = await asyncio.gather(*map(read, range(8)))
        await writing

    for number, found in enumerate(seen):
        ids = [item.id for item in found]
        assert ids == sorted(set(ids))
        streams: dict[str, list[int]] = defaultdict(list)
        for item in found:
            streams[item.stream_id].append(item.event_id)
        mine = {f"w{w}" for w in range(writers) if w % len(keys) == number % len(keys)}
        assert streams == {name: list(range(1, batches * length + 1)) for name in mine}
