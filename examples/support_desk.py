"""A support desk: events of an agent run are stored while they stream, and a browser catches up.

Run it with the URL of a database, or without one for a temporary file:

    python examples/support_desk.py [URL]
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from agentdb import Database, NewMessage
from agentdb.operations import sign_up

STREAM = "stream-1"


async def agent(question: str) -> AsyncIterator[dict[str, Any]]:
    """Stand in for an agent: yield the frames of a run that answers *question*."""
    words = f"You asked: {question} It is on its way.".split()
    yield frame(1, "lifecycle", status="in_progress")
    for number, word in enumerate(words, start=2):
        await asyncio.sleep(0)
        yield frame(number, "message.delta", delta=f"{word} ")
    answer = {"status": "completed", "response_text": " ".join(words)}
    yield frame(len(words) + 2, "final", final=answer)


def frame(event_id: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return a frame of the stream."""
    return {
        "schema": "public_sse_v1",
        "kind": kind,
        "stream_id": STREAM,
        "event_id": event_id,
        "server_timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **fields,
    }


async def ask(db: Database, tenant: UUID, question: str) -> None:
    """Store the question, then each frame as it comes, then the answer."""
    async with db.begin(tenant=tenant) as uow:
        await uow.agent_conversations.get_or_create("desk-1", agent_entrypoint="triage")
        await uow.agent_messages.append("desk-1", [NewMessage(role="user", content=question)])
    async for item in agent(question):
        # A short unit for each frame: other requests can replay it as soon as it is committed.
        async with db.begin(tenant=tenant) as uow:
            await uow.conversation_ledger_events.append("desk-1", [item])
            if item["kind"] == "final":
                answer = NewMessage(role="assistant", content=item["final"]["response_text"])
                await uow.agent_messages.append("desk-1", [answer])


async def reconnect(db: Database, tenant: UUID, last_event_id: int) -> int:
    """Return how many frames a browser gets that has seen the stream up to *last_event_id*."""
    async with db.read(tenant=tenant) as uow:
        page = await uow.conversation_ledger_events.resume("desk-1", STREAM, last_event_id)
    return len(page)


async def main(url: str) -> None:
    """Run the desk for one question."""
    async with Database(url) as db:
        await db.upgrade()
        async with db.begin_system(reason="sign-up") as uow:
            tenant, user, _ = await sign_up(
                uow,
                email=f"ada-{uuid4().hex}@example.com",
                password_hash="made-by-your-password-library",  # noqa: S106 -- no password
                tenant_name="Acme",
            )
        print(f"{user.email} owns {tenant.slug}")

        await ask(db, tenant.id, "Where is my order?")
        print(f"after event 3, {await reconnect(db, tenant.id, 3)} frames follow")

        async with db.read(tenant=tenant.id) as uow:
            for message in await uow.agent_messages.transcript("desk-1"):
                print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(main(f"sqlite:///{Path(folder) / 'desk.db'}"))
