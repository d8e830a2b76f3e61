from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentdb import NewMessage
from agentdb.database import Database
from agentdb.errors import NaiveDatetimeError
from agentdb.models import TenantAccount
from agentdb.testing import FrozenClock
from agentdb.unit_of_work import UnitOfWork

HOUR = timedelta(hours=1)
START = datetime(2030, 1, 1, tzinfo=UTC)


async def test_the_units_of_a_test_share_the_clock(
    agentdb_freeze_now: FrozenClock,
    agentdb_database: Database,
    agentdb_uow: UnitOfWork,
    agentdb_tenant: TenantAccount,
) -> None:
    """It stands still until the test moves it, on both databases."""
    start = agentdb_freeze_now()
    assert await agentdb_uow.read_clock() == start

    agentdb_freeze_now.advance(HOUR)

    assert await agentdb_uow.read_clock() == start + HOUR
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        assert await unit.read_clock() == start + HOUR


async def test_what_units_stamp_is_of_the_clock(
    agentdb_uow: UnitOfWork, agentdb_freeze_now: FrozenClock
) -> None:
    """The order in which a test names its fixtures makes no difference."""
    agentdb_freeze_now.move_to(START)
    await agentdb_uow.agent_conversations.get_or_create("k", "triage")
    sent = [NewMessage(role="user", content="Hello?")]
    (message,) = await agentdb_uow.agent_messages.append("k", sent)

    assert message.created_at == START


async def test_without_it_the_clock_is_that_of_the_database(agentdb_uow: UnitOfWork) -> None:
    """Nothing stands still for a test that does not ask."""
    assert agentdb_uow.frozen() is None


def test_a_clock_moves_in_both_directions() -> None:
    """Time that goes back can be tested too."""
    clock = FrozenClock(START)

    assert clock.advance(-HOUR) == START - HOUR == clock()


def test_an_instant_has_a_time_zone() -> None:
    """A naive datetime is refused wherever the clock is set."""
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 -- is refused
    with pytest.raises(NaiveDatetimeError):
        FrozenClock(naive)
    with pytest.raises(NaiveDatetimeError):
        FrozenClock().move_to(naive)
