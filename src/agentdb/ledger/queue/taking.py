"""Putting runs into the queue, and taking them out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from agentdb.auth.references import user_text
from agentdb.conversations.refs import lock_and_send
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import QueueFullError
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.queue.actions import QueueAction, portions
from agentdb.ledger.queue.hints import hint_ready
from agentdb.ledger.queue.leases import (
    Lapsed,
    claim_lapsed,
    claim_ready,
    end_lapsed,
    find_lapsed,
    lock_free_conversations,
)
from agentdb.ledger.queue.rows import LEASE_EXPIRED, QueueItem, encode_object
from agentdb.ledger.queue.statements import QueueState, insert_item, items, queue_state
from agentdb.ledger.segments import open_segment
from agentdb.ledger.values import QueueItemStatus
from agentdb.tenancy import Write
from agentdb.types import JsonObject
from agentdb.types.time import EARLIEST
from agentdb.unit import Unit

EXPIRED: JsonObject = {"code": LEASE_EXPIRED}
"""The error of a run whose last worker was not heard of again."""


async def enqueue(
    action: QueueAction,
    ref: ConversationRef,
    tenant: UUID,
    *,
    payload: JsonObject,
    user: UUID | None,
    max_depth: int,
    now: datetime | None,
) -> QueueItem:
    """Queue a run; see the repository."""
    unit, text = action.unit, encode_object(items.c.payload_json, payload)
    if user is not None:
        # Before the conversation, as the deletion of a user locks them.
        await user_text(unit, user)
    conversation, found = await lock_and_send(unit, ref, tenant, queue_state(), {})
    state = QueueState(*found[0])
    if state.depth >= max_depth:
        raise QueueFullError(f"the conversation has {max_depth} runs that wait")
    first = not state.has_head and not state.has_queued
    status = QueueItemStatus.READY if first else QueueItemStatus.QUEUED
    # Nothing else can fail: the payload is checked, and the conversation is locked.
    async with nullcontext() if user is None else unit.savepoint():
        segment = state.segment or await open_segment(unit, conversation, tenant, now=now)
        await _check_user(unit, tenant, user)
        keys: dict[str, Any] = {"conversation": conversation, "segment": segment, "user": user}
        statement = insert_item(postgresql=action.postgresql)
        (item,) = await action.write(statement, payload=text, status=status, **keys)
    if first:
        hint_ready(unit)
    elif not state.has_head:
        await action.promote(conversation)
    return item


async def _check_user(unit: Unit, tenant: UUID, user: UUID | None) -> None:
    if user is not None:
        values = {"tenant_id": tenant, "created_by_user_id": user}
        await unit.check(Write(ConversationRunQueueItem, values))


async def claim(
    action: QueueAction, *, lease: timedelta, max_attempts: int, limit: int
) -> list[QueueItem]:
    """Claim up to *limit* runs; see the repository.

    Where no lease has ended and something is ready, as mostly, the first statement is the only one.
    """
    which: dict[str, Any] = {"confined": action.confined, "postgresql": action.postgresql}
    given: dict[str, Any] = {**lease_of(action, lease), "max_attempts": max_attempts}
    ready = claim_ready(**which, unless_lapsed=True)
    # What it takes, it takes as there is no lease that has ended.
    taken = await action.write(ready, last=True, limit=limit, **given)
    if not taken:
        (rows,) = await action.send(find_lapsed(**which), limit=limit, **given)
        found = [Lapsed(*row) for row in rows]
        if found:
            await end_leases(action, [i for i in found if i.attempt_count >= max_attempts], given)
            taken = await action.write(claim_lapsed(**which), limit=limit, **given)
        # What held the first claim back may have passed to another worker meanwhile.
        if len(taken) < limit:
            taken += await action.write(claim_ready(**which), limit=limit - len(taken))
    return sorted(taken, key=lambda item: item.id)


def lease_of(action: QueueAction, lease: timedelta) -> dict[str, Any]:
    """Return the parameters that say which leases have ended."""
    if action.postgresql:
        return {"lease": lease}
    now = action.moment()
    return {"cutoff": now - min(lease, now - EARLIEST)}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of leases that had ended.

    Attributes:
        items: Items that are given back, or failed.
        promoted: Ids of the items that became the heads where one failed.
    """

    items: Sequence[Row[Any]]
    promoted: Sequence[int]


async def end_leases(
    action: QueueAction, found: Sequence[Lapsed | Row[Any]], given: dict[str, Any]
) -> Ended:
    """End the leases of some items, unless they or their conversations are locked.

    Nothing is waited for. Where an item fails, the next of its conversation becomes ready.
    """
    parts = [await _end_some(action, some, given) for some in portions(found)]
    ended = [item for part in parts for item in part.items]
    return Ended(ended, [key for part in parts for key in part.promoted])


async def _end_some(
    action: QueueAction, found: Sequence[Lapsed | Row[Any]], given: dict[str, Any]
) -> Ended:
    wanted = sorted({item.conversation_id for item in found})
    free = await action.rows(lock_free_conversations(), conversations=wanted)
    parameters = {
        "items": [item.id for item in found],
        "conversations": [row.id for row in free],
        "error": EXPIRED,
        **given,
    }
    ended = await action.rows(end_lapsed(postgresql=action.postgresql), **parameters)
    await action.refresh(row.id for row in ended)
    of: dict[str, set[UUID]] = {state: set() for state in QueueItemStatus}
    for row in ended:
        of[row.status].add(row.conversation_id)
    if of[QueueItemStatus.READY]:
        hint_ready(action.unit)
    # An older run takes the place of one that is given back behind it.
    await action.promote(*of[QueueItemStatus.QUEUED])
    return Ended(ended, await action.promote(*of[QueueItemStatus.FAILED]))
