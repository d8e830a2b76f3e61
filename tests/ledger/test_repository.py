"""Segments and frames of the ledger: replays, positions, and what the generic verbs refuse."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from agentdb import Database, LedgerFrame, UnitOfWork
from agentdb.errors import (
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ResyncRequiredError,
)
from agentdb.ledger.models import ConversationLedgerEvent, ConversationLedgerSegment
from agentdb.ledger.rows import LedgerPage
from agentdb.models import TenantAccount
from agentdb.testing import run_concurrently
from tests.ledger.conversations import begun, walk
from tests.ledger.frames import frame, frames, read_stream, recorded_streams


async def test_a_replayed_frame_equals_the_recorded_one(agentdb_uow: UnitOfWork) -> None:
    """Whatever JSON a frame holds, the replay gives back equal JSON, parsed and raw."""
    given = frame(
        1,
        text='é\U0001f600\n"quoted" \\u0041',
        numbers=[0, -1, 2**70, 1e23, 1e-7, 0.1, 1.5e308, -0.0],
        nested={"empty": {}, "list": [[], None, True]},
        agent=None,
    )
    conversation = await begun(agentdb_uow)
    await agentdb_uow.conversation_ledger_events.append(conversation, [given])
    (read,) = await agentdb_uow.conversation_ledger_events.replay(conversation)

    assert given == read.payload
    assert read.raw is not None
    assert math.isclose(1e23, (read.payload or {})["numbers"][3])


@pytest.mark.parametrize("path", recorded_streams(), ids=lambda path: path.stem)
async def test_a_recorded_stream_is_replayed_as_it_was_recorded(
    agentdb_uow: UnitOfWork, path: Path
) -> None:
    """Streams that the project did not write come back equal, frame for frame."""
    stream = read_stream(path)
    conversation = await begun(agentdb_uow, path.stem)
    recorded = await agentdb_uow.conversation_ledger_events.append(conversation, stream)
    replayed = await walk(agentdb_uow, path.stem)

    assert [True] * len(stream) == [result.inserted for result in recorded]
    assert stream == [item.payload for item in replayed]


@pytest.mark.agentdb_commits
async def test_a_tailing_reader_misses_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Row ids follow the commits: a reader behind four writers sees each frame once, in order."""
    writers, batches, size = 4, 10, 5
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)
    writing = asyncio.Event()

    async def write(number: int) -> None:
        for batch in range(batches):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                part = frames(size * (batch + 1), f"s{number}")[-size:]
                await uow.conversation_ledger_events.append("chat", part)

    async def read() -> list[LedgerFrame]:
        seen: list[LedgerFrame] = []
        cursor: str | None = None
        while True:
            done = writing.is_set()
            async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
                page = await uow.conversation_ledger_events.replay("chat", after=cursor, limit=7)
            seen += page.items
            cursor = page.cursor
            if done and not page.more:
                return seen

    reader = asyncio.create_task(read())
    await asyncio.gather(*map(write, range(writers)))
    writing.set()
    seen = await reader

    ids = [item.id for item in seen]
    assert writers * batches * size == len(ids)
    assert sorted(set(ids)) == ids
    for number in range(writers):
        mine = [item.event_id for item in seen if item.stream_id == f"s{number}"]
        assert list(range(1, batches * size + 1)) == mine


async def test_the_cursor_of_a_reader_who_has_caught_up_goes_on(agentdb_uow: UnitOfWork) -> None:
    """An empty page keeps the position, and later frames follow it."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    empty = await ledger.replay(conversation)
    await ledger.append(conversation, frames(2))
    page = await ledger.replay(conversation, after=empty.cursor)
    caught_up = await ledger.replay(conversation, after=page.cursor)
    await ledger.append(conversation, [frame(3)])
    later = await ledger.replay(conversation, after=caught_up.cursor)

    assert (list(empty), empty.more) == ([], False)
    assert [item.event_id for item in page] == [1, 2]
    assert page.cursor == caught_up.cursor
    assert [item.event_id for item in later] == [3]


async def test_filters_restrict_a_replay(agentdb_uow: UnitOfWork) -> None:
    """Stream, run and kinds choose frames; the cursor belongs to the choice."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(
        conversation,
        [
            frame(1, "a"),
            frame(1, "b", kind="final"),
            frame(2, "a", workflow={"workflow_run_id": "r"}),
        ],
    )

    async def seen(**filters: Any) -> list[tuple[str, int]]:
        page = await ledger.replay(conversation, **filters)
        return [(item.stream_id, item.event_id) for item in page]

    assert await seen(stream_id="a") == [("a", 1), ("a", 2)]
    assert await seen(workflow_run_id="r") == [("a", 2)]
    assert await seen(kinds=["final", "error"]) == [("b", 1)]
    assert await seen(kinds=[]) == []
    page = await ledger.replay(conversation, stream_id="a", limit=1)
    with pytest.raises(InvalidCursorError):
        await ledger.replay(conversation, after=page.cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "5"])
async def test_a_replay_has_1_to_1000_frames(agentdb_uow: UnitOfWork, limit: Any) -> None:
    """Other limits are refused."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.conversation_ledger_events.replay(await begun(agentdb_uow), limit=limit)


async def test_resume_returns_what_follows_the_last_event(agentdb_uow: UnitOfWork) -> None:
    """A client goes on after its last event id, within its stream."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, frames(3, "a"))
    await ledger.append(conversation, frames(5, "b"))
    await ledger.append(conversation, frames(4, "a"))

    async def after(last: int) -> list[int]:
        page = await ledger.resume(conversation, "a", last)
        assert {"a"} >= {item.stream_id for item in page}
        return [item.event_id for item in page]

    assert await after(0) == [1, 2, 3, 4]
    assert await after(2) == [3, 4]
    assert await after(4) == []
    assert await after(9) == []
    page = await ledger.resume(conversation, "a", 2, limit=1)
    rest = await ledger.replay(conversation, stream_id="a", after=page.cursor)
    assert [item.event_id for item in rest] == [4]


async def test_the_cursor_of_a_client_that_is_ahead_leads_past_what_it_has_seen(
    agentdb_uow: UnitOfWork,
) -> None:
    """What is recorded late of what the client has seen already does not come again."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, frames(2))
    ahead = await ledger.resume(conversation, "s1", 4)
    await ledger.append(conversation, frames(4))
    caught_up = await ledger.replay(conversation, stream_id="s1", after=ahead.cursor)
    await ledger.append(conversation, frames(6))
    later = await ledger.replay(conversation, stream_id="s1", after=caught_up.cursor)

    assert (list(ahead), list(caught_up)) == ([], [])
    assert [item.event_id for item in later] == [5, 6]


async def test_a_stream_may_begin_at_0(agentdb_uow: UnitOfWork) -> None:
    """A client that has seen event 0 goes on behind it."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, [frame(0), frame(1)])

    assert [item.event_id for item in await ledger.resume(conversation, "s1", 0)] == [1]


async def test_resume_of_an_unknown_stream_is_empty(agentdb_uow: UnitOfWork) -> None:
    """A stream of which nothing is stored yet has no frames, and a cursor all the same."""
    page = await agentdb_uow.conversation_ledger_events.resume(await begun(agentdb_uow), "s", 3)

    assert (page.items, page.more) == ((), False)
    assert page.cursor


@pytest.mark.parametrize("last", [-1, True, "3", 1.5])
async def test_resume_refuses_what_is_no_event_id(agentdb_uow: UnitOfWork, last: Any) -> None:
    """An event id is a whole number from 0."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.conversation_ledger_events.resume(await begun(agentdb_uow), "s", last)


async def truncate(uow: UnitOfWork, conversation: UUID, through: int) -> None:
    """Truncate the active segment behind the frame with row id *through*."""
    await uow.session.execute(
        update(ConversationLedgerSegment)
        .where(ConversationLedgerSegment.conversation_id == conversation)
        .values(truncated_at=datetime.now(UTC), visible_through_event_id=through)
    )


async def test_a_truncation_hides_frames_and_ends_positions_behind_it(
    agentdb_uow: UnitOfWork,
) -> None:
    """Visible frames stay; a reader whose position is hidden has to start anew."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    recorded = await ledger.append(conversation, frames(4))
    before = await ledger.replay(conversation, limit=1)
    behind = await ledger.replay(conversation, limit=3)
    await truncate(agentdb_uow, conversation, recorded[1].id)
    await ledger.append(conversation, frames(2, "next"))

    seen = [(item.stream_id, item.event_id) for item in await walk(agentdb_uow, conversation)]
    assert seen == [("s1", 1), ("s1", 2), ("next", 1), ("next", 2)]
    assert len(await ledger.replay(conversation, after=before.cursor)) == 3
    with pytest.raises(ResyncRequiredError):
        await ledger.replay(conversation, after=behind.cursor)
    with pytest.raises(ResyncRequiredError):
        await ledger.resume(conversation, "s1", 3)
    assert [item.event_id for item in await ledger.resume(conversation, "s1", 1)] == [2]


async def test_a_purged_position_needs_a_resync(agentdb_uow: UnitOfWork) -> None:
    """A position whose frame is gone cannot be continued."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, frames(3))
    page = await ledger.replay(conversation, limit=2)
    await agentdb_uow.session.execute(
        delete(ConversationLedgerEvent).where(ConversationLedgerEvent.event_id == 2)
    )
    with pytest.raises(ResyncRequiredError):
        await ledger.replay(conversation, after=page.cursor)
    with pytest.raises(ResyncRequiredError):
        await ledger.resume(conversation, "s1", 2)


async def test_nothing_lands_in_a_truncated_segment(agentdb_uow: UnitOfWork) -> None:
    """Appends after a truncation open the next segment, the child of the last."""
    conversation = await begun(agentdb_uow)
    segments = agentdb_uow.conversation_ledger_segments
    first = await segments.active(conversation)
    await truncate(agentdb_uow, conversation, 0)
    await agentdb_uow.conversation_ledger_events.append(conversation, frames(1))
    second = await segments.active(conversation)

    assert (0, 1, first.id) == (first.segment_index, second.segment_index, second.parent_segment_id)
    assert second is await segments.active("chat")


@pytest.mark.agentdb_commits
async def test_eight_callers_open_one_segment(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Of eight concurrent calls for the active segment, all get the same one."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def call(_: int) -> UUID:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return (await uow.conversation_ledger_segments.active("chat")).id

    assert len(set(await run_concurrently(8, call, database=agentdb_database))) == 1


async def test_another_tenants_conversation_does_not_exist(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """With another tenant's id, append, replay, resume and active find nothing, at any position."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        conversation = await begun(uow)
        await uow.conversation_ledger_events.append(conversation, [frame(1), frame(5)])
        cursor = (await uow.conversation_ledger_events.replay(conversation, limit=1)).cursor
        with pytest.raises(ResyncRequiredError):
            await uow.conversation_ledger_events.resume(conversation, "s1", 3)
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        ledger = uow.conversation_ledger_events
        calls = [
            ledger.append(conversation, frames(1)),
            ledger.replay(conversation),
            ledger.replay(conversation, after=cursor),
            *(ledger.resume(conversation, "s1", seen) for seen in (0, 1, 3, 9)),
            uow.conversation_ledger_segments.active(conversation),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call


async def test_generic_writes_of_frames_are_refused(agentdb_uow: UnitOfWork) -> None:
    """Frames and segments are written by their verbs alone."""
    with pytest.raises(PermissionDeniedError, match="append"):
        await agentdb_uow.conversation_ledger_events.update(1, kind="final")
    with pytest.raises(PermissionDeniedError, match="active"):
        await agentdb_uow.conversation_ledger_segments.delete(uuid4())


def test_a_page_counts_and_yields_its_frames() -> None:
    """A page can be iterated and measured."""
    page = LedgerPage((), "cursor", more=False)

    assert (len(page), list(page)) == (0, [])
