"""Appending frames: what becomes of them, what is recorded already, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from agentdb import Database, UnitOfWork
from agentdb.batch import TURN
from agentdb.errors import (
    InvalidValueError,
    ValueTooLongError,
)
from agentdb.ledger.models import ConversationLedgerEvent
from agentdb.ledger.rows import Recorded
from agentdb.models import TenantAccount
from agentdb.testing import run_concurrently
from tests.ledger.conversations import begun, walk
from tests.ledger.frames import frame, frames


async def test_the_fields_of_a_frame_become_columns(agentdb_uow: UnitOfWork) -> None:
    """Columns come from the frame, tool calls and runs from within it."""
    given = frame(
        3,
        response_id="resp",
        agent="triage",
        workflow={"workflow_run_id": "run_1", "step": 2},
        tool={"tool_call_id": "call_1"},
        provider_sequence_number=7,
        output_index=1,
        item_id="item",
        content_index=0,
    )
    ledger = agentdb_uow.conversation_ledger_events
    (recorded,) = await ledger.append(await begun(agentdb_uow), [given])
    row = await ledger.require(recorded.id)

    assert (
        row.response_id,
        row.agent,
        row.workflow_run_id,
        row.tool_call_id,
        row.item_id,
    ) == ("resp", "triage", "run_1", "call_1", "item")
    assert (
        row.provider_sequence_number,
        row.output_index,
        row.content_index,
        row.event_id,
    ) == (7, 1, 0, 3)
    assert datetime(2026, 1, 2, 3, 4, 3, 500_000, tzinfo=UTC) == row.server_timestamp
    assert row.payload_size_bytes is not None
    assert 300 < row.payload_size_bytes < 500


async def test_a_batch_sent_again_is_skipped(agentdb_uow: UnitOfWork) -> None:
    """Recorded frames keep their rows, the rest of the batch is stored."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    first = await ledger.append(conversation, frames(3))
    again = await ledger.append(conversation, frames(5))

    assert [result.inserted for result in first] == [True] * 3
    assert [result.inserted for result in again] == [False] * 3 + [True] * 2
    assert [r.id for r in first] == [r.id for r in again][:3]
    assert len(await walk(agentdb_uow, conversation)) == 5


async def test_a_large_batch_tells_what_it_recorded_and_what_was_there(
    agentdb_uow: UnitOfWork,
) -> None:
    """Frames before it and in the midst of it have the rows that they had."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    size = 2 * TURN + 2
    known = {0, TURN, size - 1}
    there = await ledger.append(conversation, [frame(n) for n in sorted(known)])
    told = await ledger.append(conversation, [frame(n) for n in range(size)])
    stored = await walk(agentdb_uow, conversation, limit=1000)

    assert [one.inserted for one in told] == [n not in known for n in range(size)]
    assert [told[n].id for n in sorted(known)] == [one.id for one in there]
    assert {f.event_id: f.id for f in stored} == {n: one.id for n, one in enumerate(told)}


@pytest.mark.agentdb_commits
async def test_eight_first_appends_make_one_segment_with_all_frames(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight concurrent first appends: one segment, every frame."""

    async def call(number: int) -> list[Recorded]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            batch = frames(4, f"stream-{number}")
            return await uow.conversation_ledger_events.append(await begun(uow), batch)

    results = await run_concurrently(8, call, database=agentdb_database)

    assert sum(len(r) for r in results if isinstance(r, list)) == 32
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.conversation_ledger_segments.count() == 1
        assert len(await walk(uow, "chat", limit=10)) == 32


BAD: dict[str, Any] = {
    "no schema": {k: v for k, v in frame(2).items() if k != "schema"},
    "event id is text": frame(2) | {"event_id": "2"},
    "event id is a boolean": frame(2) | {"event_id": True},
    "event id is too large": frame(2**31),
    "event id is negative": frame(-1),
    "no time zone": frame(2) | {"server_timestamp": "2026-01-02T03:04:05"},
    "no instant": frame(2) | {"server_timestamp": "yesterday"},
    "not increasing": frame(1),
    "long kind": frame(2, kind="k" * 65),
    "agent is a number": frame(2, agent=7),
    "NUL": frame(2, text="a\x00b"),
    "NUL in a key": frame(2) | {"a\x00b": 1},
    "surrogate": frame(2, text="\ud800"),
    "NaN": frame(2, score=float("nan")),
    "not an object": ["frame"],
    "deep": frame(2, nested=json.loads("[" * 300 + "]" * 300)),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_malformed_frame_refuses_its_batch(agentdb_uow: UnitOfWork, name: str) -> None:
    """Nothing of a batch with a malformed frame is stored, and the unit goes on."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    with pytest.raises(InvalidValueError):
        await ledger.append(conversation, [frame(1), BAD[name]])

    assert await ledger.count() == 0
    assert [r.inserted for r in await ledger.append(conversation, [frame(1)])] == [True]


async def test_a_refusal_names_the_frame_and_not_its_content(agentdb_uow: UnitOfWork) -> None:
    """The message counts frames from 1 and quotes nothing."""
    bad = frame(2) | {"server_timestamp": "sk-canary"}
    with pytest.raises(InvalidValueError, match="frame 2") as caught:
        await agentdb_uow.conversation_ledger_events.append(
            await begun(agentdb_uow), [frame(1), bad]
        )

    assert "canary" not in str(caught.value)


async def test_a_frame_above_the_inline_limit_is_refused(agentdb_uow: UnitOfWork) -> None:
    """A frame of more bytes than the limit raises, one of as many is stored."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    given = frame(1, text="é" * 100)
    with pytest.raises(ValueTooLongError):
        await ledger.append(conversation, [given], inline_limit=200)

    assert [r.inserted for r in await ledger.append(conversation, [given])] == [True]


async def test_a_frame_without_payload_is_refused_by_the_database(agentdb_uow: UnitOfWork) -> None:
    """None is SQL NULL, so the CHECK refuses a row with neither payload nor object."""
    conversation = await begun(agentdb_uow)
    segment = await agentdb_uow.conversation_ledger_segments.active(conversation)
    values = {
        "tenant_id": agentdb_uow.tenant,
        "conversation_id": conversation,
        "segment_id": segment.id,
        "kind": "final",
        "stream_id": "s",
        "event_id": 1,
        "server_timestamp": datetime.now(UTC),
        "payload_json": None,
    }
    with pytest.raises(InvalidValueError, match="payload_present"):
        async with agentdb_uow.savepoint():
            await agentdb_uow.execute(insert(ConversationLedgerEvent).values(**values))

    assert await agentdb_uow.conversation_ledger_events.count() == 0
