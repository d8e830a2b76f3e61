from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse

from agentdb import Database, Settings
from agentdb.integrations.fastapi import event_stream
from agentdb.ledger.tail import Tail
from agentdb.models import TenantAccount
from agentdb.operations import delete_conversation
from agentdb.testing import finish
from tests.integrations.host import (
    Exchange,
    Snapshot,
    Tenant,
    TheDatabase,
    Uow,
    client_of,
    exchange,
    make_app,
)
from tests.ledger.conversations import begun
from tests.ledger.frames import frame

ALIVE = 30.0


@pytest.fixture
def narrow(agentdb_url: str) -> Iterator[Database]:
    """A database that has one connection."""
    database = Database(agentdb_url, settings=Settings(pool_size=1, max_overflow=0))
    yield database
    finish(database.dispose())


async def say(uow: Uow, number: int, kind: str = "message.delta") -> None:
    """Append a frame."""
    await begun(uow)
    await uow.conversation_ledger_events.append("chat", [frame(number, kind=kind)])


async def follow(
    database: TheDatabase,
    tenant: Tenant,
    uow: Snapshot,
    last_event_id: Annotated[int | None, Header()] = None,
) -> StreamingResponse:
    """Follow the stream of the conversation, which has to be there."""
    conversation = await uow.agent_conversations.by_ref("chat")
    if conversation is None:
        raise HTTPException(404)
    tail = database.tail(
        conversation.id,
        tenant=tenant,
        stream_id="s1",
        last_event_id=last_event_id,
        until_terminal=True,
        poll=0.05,
    )
    return event_stream(tail, keep_alive=ALIVE)


@pytest.fixture
def app(narrow: Database) -> FastAPI:
    """A host that appends and streams."""
    return make_app(narrow, say=say, follow=follow)


async def test_a_stream_holds_no_connection_while_it_waits(
    app: FastAPI, agentdb_tenant: TenantAccount
) -> None:
    """On the only connection the request that appends the next frame goes through."""
    client = client_of(app, agentdb_tenant.id)
    await client.post("/say", params={"number": 1})

    async with exchange(app, "/follow", agentdb_tenant.id) as browser:
        assert (await browser.message())["status"] == 200
        assert (await browser.text()).startswith("id: 1\nevent: message.delta\ndata: {")
        for number in (2, 3):
            said = await client.post("/say", params={"number": number})
            assert said.status_code == 200
            assert (await browser.text()).startswith(f"id: {number}\n")


async def test_a_stream_ends_with_its_last_frame_and_is_taken_up_again(
    app: FastAPI, agentdb_tenant: TenantAccount
) -> None:
    """A browser sends the id of the last event that it has seen."""
    client = client_of(app, agentdb_tenant.id)
    for number, kind in enumerate(("message.delta", "message.delta", "final"), 1):
        await client.post("/say", params={"number": number, "kind": kind})

    whole = await client.post("/follow")
    rest = await client.post("/follow", headers={"last-event-id": "2"})

    assert whole.headers["content-type"].startswith("text/event-stream")
    assert [event[:5] for event in whole.text.split("\n\n")[:-1]] == ["id: 1", "id: 2", "id: 3"]
    assert [event[:5] for event in rest.text.split("\n\n")[:-1]] == ["id: 3"]


async def test_silence_is_broken_for_proxies(
    app: FastAPI, agentdb_tenant: TenantAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a comment, after which the frames go on."""
    monkeypatch.setattr(f"{__name__}.ALIVE", 0.01)
    client = client_of(app, agentdb_tenant.id)
    await client.post("/say", params={"number": 1})

    async with exchange(app, "/follow", agentdb_tenant.id) as browser:
        await browser.message()
        assert await said(browser) == "id: 1"
        assert await browser.text() == ": still there\n\n"
        await client.post("/say", params={"number": 2})
        assert await said(browser) == "id: 2"


async def said(browser: Exchange) -> str:
    """Return the first line of the next event, after any number of comments."""
    while (text := await browser.text()) == ": still there\n\n":
        pass
    return text.partition("\n")[0]


async def test_a_reader_whose_place_is_gone_is_told(
    app: FastAPI, narrow: Database, agentdb_tenant: TenantAccount
) -> None:
    """It draws the conversation anew."""
    await client_of(app, agentdb_tenant.id).post("/say", params={"number": 1})

    async with exchange(app, "/follow", agentdb_tenant.id) as browser:
        await browser.message()
        await browser.text()
        async with narrow.begin(tenant=agentdb_tenant.id) as uow:
            await delete_conversation(uow, "chat")
        assert await browser.text() == "event: resync\ndata: {}\n\n"
        assert await browser.text() == ""


async def test_what_is_refused_before_the_stream_is_an_error_response(
    app: FastAPI, agentdb_tenant: TenantAccount
) -> None:
    """The unit of the endpoint looks before the response begins."""
    client = client_of(app, agentdb_tenant.id)

    assert (await client.post("/follow")).status_code == 404
    await client.post("/say", params={"number": 1})
    bad = await client.post("/follow", headers={"last-event-id": "-1"})
    assert (bad.status_code, bad.json()["error"]) == (422, "invalid_value")


async def test_a_client_that_leaves_closes_the_tail(
    narrow: Database, agentdb_tenant: TenantAccount
) -> None:
    """Nothing looks for frames any more."""
    tails: list[Tail] = []

    async def listen(database: TheDatabase, tenant: Tenant) -> StreamingResponse:
        tails.append(database.tail("chat", tenant=tenant, poll=0.05))
        return event_stream(tails[0])

    app = make_app(narrow, say=say, listen=listen)
    await client_of(app, agentdb_tenant.id).post("/say", params={"number": 1})
    async with exchange(app, "/listen", agentdb_tenant.id) as browser:
        await browser.message()
        await browser.text()

    with pytest.raises(StopAsyncIteration):
        await anext(tails[0])
