"""Queues of runs, for tests."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Executable, bindparam, insert, select
from sqlalchemy.sql import visitors

from agentdb.database import Database
from agentdb.ledger.queue.rows import QueueItem
from agentdb.ledger.queue.statements import items
from agentdb.ledger.values import QueueItemStatus
from agentdb.unit import Unit
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.conversations import begun

E = TypeVar("E", bound=Executable)

CHAT = "chat"
FINISHED = {QueueItemStatus.COMPLETED, QueueItemStatus.FAILED, QueueItemStatus.CANCELLED}


async def queued(uow: UnitOfWork, count: int, key: str = CHAT) -> list[int]:
    """Queue runs of a conversation, made if there is none, and return their ids."""
    await begun(uow, key)
    queue = uow.conversation_run_queue_items
    return [(await queue.enqueue(key, {"run": n}, max_depth=100)).id for n in range(count)]


async def claimed(uow: UnitOfWork) -> QueueItem:
    """Claim the one run that is next."""
    (item,) = await uow.conversation_run_queue_items.claim()
    return item


async def states(uow: Unit) -> dict[int, str]:
    """Return the states of all runs that the unit sees, by id; read past the verbs."""
    query = select(items.c.id, items.c.status).order_by(items.c.id)
    if uow.tenant is not None:
        query = query.where(items.c.tenant_id == uow.tenant)
    return {row.id: row.status for row in await uow.execute(query)}


async def put(uow: Unit, conversation: UUID, tenant: UUID, *rows: dict[str, Any]) -> list[int]:
    """Store rows as they are, as a host might that knows nothing of the queue."""
    plain: dict[str, Any] = {"tenant_id": tenant, "conversation_id": conversation}
    plain |= {"payload_json": {}, "attempt_count": 0, "status": "queued"}
    added = [insert(items).values({**plain, **row}).returning(items.c.id) for row in rows]
    return [(await uow.execute(statement)).scalar_one() for statement in added]


async def violations(database: Database) -> list[str]:
    """Return what contradicts the promises of the queue: heads, FIFO and states."""
    async with database.begin_system(reason="test") as uow:
        rows = (await uow.execute(select(*items.c).order_by(items.c.id))).all()
    found: list[str] = []
    by_conversation: dict[UUID, list[Any]] = {}
    for row in rows:
        by_conversation.setdefault(row.conversation_id, []).append(row)
    for conversation, its in by_conversation.items():
        waiting = [r for r in its if r.status == "queued"]
        heads = [r for r in its if r.status in {"ready", "running"}]
        if len(heads) > 1 or (waiting and not heads):
            found.append(f"{conversation}: {len(heads)} heads, {len(waiting)} waiting")
        if heads and heads[0].status == "ready" and any(r.id < heads[0].id for r in waiting):
            found.append(f"{conversation}: an older run waits behind the head")
    return found


def bound(statement: E, **values: Any) -> E:
    """Return a statement with values in the place of its parameters, to be explained."""

    def fill(element: Any, **_: Any) -> Any:
        if element.__visit_name__ != "bindparam" or element.key not in values:
            return None
        given = {"type_": element.type, "expanding": element.expanding}
        return bindparam(element.key, values[element.key], **given)

    traverse: Any = visitors.replacement_traverse
    filled: E = traverse(statement, {}, fill)
    return filled
