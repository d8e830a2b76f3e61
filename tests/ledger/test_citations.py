from __future__ import annotations

from typing import Any

import pytest

from agentdb import UnitOfWork
from agentdb.errors import NotFoundError
from agentdb.operations import truncate_from
from tests.ledger.conversations import asked, begun
from tests.ledger.frames import frame


def citation(event_id: int, **fields: Any) -> dict[str, Any]:
    """Return a frame that cites a file of a container."""
    cited = {"type": "container_file_citation", "container_id": "c1", "file_id": "f1", **fields}
    return frame(event_id, kind="message.citation", citation=cited)


async def test_a_visible_citation_of_the_pair_counts(agentdb_uow: UnitOfWork) -> None:
    """Container and file must be of one citation, of that type and kind."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    given = [
        citation(1),
        citation(2, container_id="c2", file_id="f2"),
        citation(3, file_id="f3", type="file_citation"),
        frame(4, kind="message.delta", citation=citation(4, file_id="f4")["citation"]),
        frame(5, kind="message.citation", citation=["c1", "f5"]),
        frame(6, kind="message.citation"),
    ]
    await ledger.append(conversation, given)

    async def cites(container: str, file: str) -> bool:
        return await ledger.cites_container_file(conversation, container, file)

    assert await cites("c1", "f1")
    assert await cites("c2", "f2")
    for container, file in (("c1", "f2"), ("c1", "f3"), ("c1", "f4"), ("c1", "f5"), ("", "%")):
        assert not await cites(container, file)


async def test_a_hidden_citation_does_not_count(agentdb_uow: UnitOfWork) -> None:
    """After a truncation the file is out of reach, and so it is from other conversations."""
    conversation, other = await begun(agentdb_uow), await begun(agentdb_uow, "other")
    question = await asked(agentdb_uow, conversation)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, [citation(1)])
    before = await ledger.cites_container_file(conversation, "c1", "f1")
    elsewhere = await ledger.cites_container_file(other, "c1", "f1")
    await truncate_from(agentdb_uow, conversation, question)

    assert (before, elsewhere) == (True, False)
    assert not await ledger.cites_container_file(conversation, "c1", "f1")
    with pytest.raises(NotFoundError):
        await ledger.cites_container_file("none", "c1", "f1")
