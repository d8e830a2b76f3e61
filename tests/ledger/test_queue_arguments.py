"""What the verbs of the queue are given that cannot be, and what is merely large."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from agentdb.errors import AgentDBError, InvalidValueError, LeaseLostError
from agentdb.types.time import EARLIEST
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.queues import CHAT, claimed, queued, states

LARGE = 2**31
"""More than a column of 32 bits holds."""

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 -- it is refused

BAD: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "a depth of none": ("enqueue", [CHAT, {}], {"max_depth": None}),
    "a depth beyond 64 bits": ("enqueue", [CHAT, {}], {"max_depth": 2**63}),
    "a payload that is text": ("enqueue", [CHAT, "{}"], {}),
    "a user that is text": ("enqueue", [CHAT, {}], {"created_by_user_id": "me"}),
    "an enqueue without a zone": ("enqueue", [CHAT, {}], {"now": NAIVE}),
    "a lease in seconds": ("claim", [], {"lease": 300}),
    "a lease of none": ("claim", [], {"lease": None}),
    "a lease as text": ("claim", [], {"lease": "3"}),
    "an endless lease": ("claim", [], {"lease": timedelta.max}),
    "attempts as text": ("claim", [], {"max_attempts": "3"}),
    "attempts in parts": ("claim", [], {"max_attempts": 1.5}),
    "a limit of none": ("claim", [], {"limit": None}),
    "a large limit": ("claim", [], {"limit": LARGE}),
    "a claim without a zone": ("claim", [], {"now": NAIVE}),
    "a claim at a text": ("claim", [], {"now": "now"}),
    "an attempt as text": ("heartbeat", [1, "1"], {}),
    "an attempt of none": ("complete", [1, None], {}),
    "an attempt beyond 64 bits": ("hold", [1, 2**63], {}),
    "a run as text": ("heartbeat", ["1", 1], {}),
    "a run beyond 64 bits": ("complete", [2**63, 1], {}),
    "an error of none": ("fail", [1, 1, None], {}),
    "a failure of text attempts": ("fail", [1, 1, {}], {"max_attempts": "3"}),
    "a cancellation of none": ("cancel", [None], {}),
    "a requeue of text": ("requeue", ["1"], {}),
    "a place beyond 64 bits": ("place", [2**63], {}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_wrong_argument_is_refused_and_the_unit_goes_on(
    agentdb_uow: UnitOfWork, name: str
) -> None:
    """With an error of this library on both databases, and the verb has written nothing."""
    (key,) = await queued(agentdb_uow, 1)
    verb, given, named = BAD[name]
    with pytest.raises(AgentDBError):
        await getattr(agentdb_uow.conversation_run_queue_items, verb)(*given, **named)

    assert await states(agentdb_uow) == {key: "ready"}


async def test_an_attempt_that_cannot_have_been_is_no_claim(agentdb_uow: UnitOfWork) -> None:
    """A number above 32 bits is compared as it is."""
    await queued(agentdb_uow, 1)
    key = (await claimed(agentdb_uow)).id
    queue = agentdb_uow.conversation_run_queue_items
    calls = (queue.heartbeat, queue.hold, queue.complete)
    for call in calls:
        with pytest.raises(LeaseLostError):
            await call(key, LARGE)
    with pytest.raises(LeaseLostError):
        await queue.fail(key, LARGE, {})

    assert await states(agentdb_uow) == {key: "running"}


async def test_the_number_of_attempts_may_be_large(agentdb_uow: UnitOfWork) -> None:
    """It means that a run is tried for ever."""
    await queued(agentdb_uow, 1)
    queue = agentdb_uow.conversation_run_queue_items
    (item,) = await queue.claim(max_attempts=LARGE)
    failed = await queue.fail(item.id, item.attempt, {}, max_attempts=LARGE)

    assert failed.status == "ready"


async def test_a_claim_takes_a_thousand_at_the_most(agentdb_uow: UnitOfWork) -> None:
    """So that its statements stay within what a database takes."""
    queue = agentdb_uow.conversation_run_queue_items

    assert await queue.claim(limit=1000) == []
    with pytest.raises(InvalidValueError, match="from 1 to 1000"):
        await queue.claim(limit=1001)


async def test_a_claim_at_the_first_instant_finds_no_lapsed_lease(agentdb_uow: UnitOfWork) -> None:
    """Nothing can have begun before it, whatever the lease."""
    (key,) = await queued(agentdb_uow, 1)
    (item,) = await agentdb_uow.conversation_run_queue_items.claim(now=EARLIEST)

    assert item.id == key
