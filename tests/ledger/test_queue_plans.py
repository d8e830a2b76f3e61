"""No claim, promotion, place or sweep reads the table from end to end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from sqlalchemy import Executable

from agentdb.ledger.queue import leases, statements
from agentdb.ledger.values import QueueItemStatus
from agentdb.maintenance import queue_statements
from agentdb.testing import explain
from agentdb.unit_of_work import UnitOfWork
from tests.ledger.queues import bound

pytestmark = pytest.mark.agentdb_plans

NAME = "ix_conversation_run_queue_items"
CONVERSATION = f"{NAME}_conversation_status_id"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Make: TypeAlias = Callable[[bool], Executable]
"""Makes a statement for PostgreSQL, or not."""

VALUES: dict[str, Any] = {
    "after": 1,
    "behind": uuid4(),
    "at": NOW,
    "attempt": 1,
    "conversation": uuid4(),
    "cutoff": NOW,
    "error": {},
    "item": 1,
    "items": [1, 2],
    "lease": timedelta(minutes=5),
    "limit": 10,
    "max_attempts": 5,
    "now": NOW,
    "segment": uuid4(),
    "tenant": uuid4(),
}

INDEXED: dict[str, tuple[Make, str]] = {
    "claim of ready runs": (
        lambda pg: leases.claim_ready(confined=False, postgresql=pg),
        f"{NAME}_ready",
    ),
    "claim of lapsed runs": (
        lambda pg: leases.claim_lapsed(confined=False, postgresql=pg),
        f"{NAME}_lease",
    ),
    "look for lapsed runs": (
        lambda pg: leases.find_lapsed(confined=False, postgresql=pg),
        f"{NAME}_lease",
    ),
    "recovery of lapsed runs": (
        lambda pg: queue_statements.lapsed_items(
            confined=False, postgresql=pg, begun=True, started=True
        ),
        f"{NAME}_lease",
    ),
    "count of lapsed runs": (
        lambda pg: queue_statements.count_lapsed(
            confined=False, postgresql=pg, begun=True, limited=True
        ),
        f"{NAME}_lease",
    ),
    "recovery of runs that were never begun": (
        lambda pg: queue_statements.lapsed_items(
            confined=False, postgresql=pg, begun=False, started=True
        ),
        f"{NAME}_lease",
    ),
    "promotion": (lambda _: statements.promote_in(), CONVERSATION),
    "promotion of the next": (lambda _: statements.promote_after(confined=True), CONVERSATION),
    "claim unless a lease has ended": (
        lambda pg: leases.claim_ready(confined=False, postgresql=pg, unless_lapsed=True),
        f"{NAME}_lease",
    ),
    "state": (lambda _: statements.queue_state(), CONVERSATION),
    "place": (lambda _: statements.place_of(confined=False), CONVERSATION),
    "cancellation": (
        lambda pg: statements.cancel_in(running=False, postgresql=pg),
        CONVERSATION,
    ),
}

UNSCANNED: dict[str, Make] = {
    "completion": lambda pg: statements.complete_item(confined=True, postgresql=pg),
    "failure": lambda pg: statements.fail_item(confined=True, postgresql=pg),
    "heartbeat": lambda pg: statements.renew_lease(confined=True, postgresql=pg),
    "lock": lambda _: statements.lock_conversation_of(confined=True),
    "requeue": lambda _: statements.requeue_item(confined=True),
    "step back": lambda _: statements.step_back(),
    "end of leases": lambda pg: leases.end_lapsed(postgresql=pg),
    "claim of a tenant": lambda pg: leases.claim_ready(confined=True, postgresql=pg),
    "conversations without a head": lambda _: queue_statements.headless(
        confined=False, started=True
    ),
    "purge": lambda pg: queue_statements.purge_finished(confined=False, postgresql=pg),
}


def filled(make: Make, postgresql: bool) -> Executable:
    """Return a statement with values; expanding parameters take lists of ids."""
    values = {**VALUES, "conversations": [uuid4(), uuid4()], "status": QueueItemStatus.READY}
    return bound(make(postgresql), **values)


@pytest.mark.parametrize("name", INDEXED)
async def test_a_hot_statement_walks_its_index(agentdb_uow: UnitOfWork, name: str) -> None:
    """The partial index where there is one: a parameter in its condition would hide it."""
    make, index = INDEXED[name]
    statement = filled(make, agentdb_uow.is_postgresql)
    plan = await explain(await agentdb_uow.session.connection(), statement)

    plan.assert_scans_nothing()
    plan.assert_uses_index(index)


@pytest.mark.parametrize("name", UNSCANNED)
async def test_no_statement_of_the_queue_scans(agentdb_uow: UnitOfWork, name: str) -> None:
    """Whichever index it takes."""
    statement = filled(UNSCANNED[name], agentdb_uow.is_postgresql)

    (await explain(await agentdb_uow.session.connection(), statement)).assert_scans_nothing()
