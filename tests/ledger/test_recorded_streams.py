from __future__ import annotations

from pathlib import Path

import pytest

from agentdb import UnitOfWork
from agentdb.errors import ResyncRequiredError
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, truncate_from
from tests.ledger.conversations import asked, begun, places, walk
from tests.ledger.frames import read_stream, recorded_streams

recorded = pytest.mark.parametrize("path", recorded_streams(), ids=lambda path: path.stem)


@recorded
@pytest.mark.parametrize("inline_limit", [1024 * 1024, 300], ids=["inline", "spilled"])
async def test_a_recorded_stream_survives_a_truncation_behind_it(
    agentdb_uow: UnitOfWork, path: Path, inline_limit: int
) -> None:
    """Appended, cut behind, replayed and resumed from every event: always the recorded frames."""
    stream, store = read_stream(path), MemoryObjectStore()
    conversation = await begun(agentdb_uow)
    await asked(agentdb_uow, conversation)
    stored = await append_ledger(
        agentdb_uow, conversation, stream, store=store, inline_limit=inline_limit
    )
    question = await asked(agentdb_uow, conversation)
    later = [{**item, "stream_id": "later"} for item in stream]
    await append_ledger(agentdb_uow, conversation, later, store=store, inline_limit=inline_limit)
    cut = await truncate_from(agentdb_uow, conversation, question)
    ledger = agentdb_uow.conversation_ledger_events
    page = await ledger.replay(conversation, store=store)

    assert [item.inserted for item in stored] == [True] * len(stream)
    assert cut.hidden_events == len(stream)
    assert [item.payload for item in page] == stream
    name = stream[0]["stream_id"]
    for number, item in enumerate(stream, start=1):
        resumed = await ledger.resume(conversation, name, item["event_id"], store=store)
        assert [found.payload for found in resumed] == stream[number:]
        with pytest.raises(ResyncRequiredError):
            await ledger.resume(conversation, "later", item["event_id"])


@recorded
async def test_a_recorded_stream_is_hidden_by_a_truncation_before_it(
    agentdb_uow: UnitOfWork, path: Path
) -> None:
    """Cut before, it is gone; the same frames sent again stay recorded and hidden."""
    stream = read_stream(path)
    conversation = await begun(agentdb_uow)
    question = await asked(agentdb_uow, conversation)
    await append_ledger(agentdb_uow, conversation, stream)
    await truncate_from(agentdb_uow, conversation, question)
    again = await append_ledger(agentdb_uow, conversation, stream)
    answer = [{**item, "stream_id": "retold"} for item in stream]
    await append_ledger(agentdb_uow, conversation, answer)

    assert [item.inserted for item in again] == [False] * len(stream)
    seen = await walk(agentdb_uow, conversation)
    assert places(seen) == [("retold", item["event_id"]) for item in stream]
    assert [item.payload for item in seen] == answer


@pytest.mark.skipif(not recorded_streams(), reason="no folder of recorded streams is named")
async def test_the_recorded_citation_lets_at_its_file(agentdb_uow: UnitOfWork) -> None:
    """Of all recorded streams one cites a file of a container, and no other pair is cited."""
    conversation = await begun(agentdb_uow)
    for path in recorded_streams():
        await append_ledger(agentdb_uow, conversation, read_stream(path))
    citations = [
        item["citation"]
        for path in recorded_streams()
        for item in read_stream(path)
        if item.get("citation", {}).get("type") == "container_file_citation"
    ]
    cites = agentdb_uow.conversation_ledger_events.cites_container_file

    assert citations
    for citation in citations:
        container, file = citation["container_id"], citation["file_id"]
        assert await cites(conversation, container, file)
        assert not await cites(conversation, file, container)
        assert not await cites(conversation, container, f"{file}x")
