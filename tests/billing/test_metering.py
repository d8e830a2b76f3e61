from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb import Database, UnitOfWork
from agentdb.billing.rows import Decision, Usage
from agentdb.billing.values import LimitOutcome
from agentdb.errors import InvalidValueError, NaiveDatetimeError
from agentdb.testing import Factory, limit_statements
from tests.plans import plans_of

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
TICK, DAY = timedelta(microseconds=1), timedelta(days=1)


async def use(uow: UnitOfWork, subscription: Any, quantity: int, start: datetime = START) -> None:
    """Count messages in the bucket of a day."""
    increment = uow.subscription_usage.increment
    await increment(subscription, "messages", quantity, start, start + DAY, now=start)


async def test_totals_are_by_feature(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """A row counts in the window that its period begins in; what was not used is left out."""
    subscription = agentdb_make.tenant_subscription().id
    for quantity, start in ((1, START - TICK), (2, START), (4, END - TICK), (8, END)):
        await use(agentdb_uow, subscription, quantity, start)
    record = agentdb_uow.subscription_usage.increment
    await record(subscription, "input_tokens", 2**31 - 1, START, END, now=START)
    await record(subscription, "input_tokens", 2**31 - 1, START + DAY, END, now=END)
    totals = agentdb_uow.subscription_usage.totals
    with limit_statements(agentdb_uow, max=1):
        found = await totals(subscription, START, END)

    assert found == {
        "messages": Usage(6, 2, END - TICK),
        "input_tokens": Usage(2**32 - 2, 2, END),
    }
    assert list(await totals(subscription, START, END, feature_keys=["messages"])) == ["messages"]
    assert await totals(subscription, START, END, feature_keys=[]) == {}
    assert (await totals(subscription, END, END + DAY))["messages"].quantity == 8
    with pytest.raises(NaiveDatetimeError):
        await totals(subscription, datetime(2026, 3, 1), END)  # noqa: DTZ001 -- what is refused


async def test_the_use_of_another_tenant_is_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Its subscription does not exist."""
    other = agentdb_make.tenant_subscription(tenant_id=agentdb_make.tenant_account().id)
    agentdb_make.subscription_usage(subscription_id=other.id, period_start=START)

    assert await agentdb_uow.subscription_usage.totals(other.id, START, END) == {}


@pytest.mark.parametrize(
    ("quantity", "outcome"),
    [(0, "allow"), (2, "allow"), (3, "soft_limit"), (4, "soft_limit"), (5, "hard_limit")],
)
async def test_a_limit_is_passed_by_what_is_beyond_it(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, quantity: int, outcome: str
) -> None:
    """Six were used; with what is asked for, eight are fine and ten are the most."""
    row = agentdb_make.tenant_subscription(current_period_start=START, current_period_end=END)
    agentdb_make.plan_feature(
        plan_id=row.plan_id, feature_key="messages", soft_limit=8, hard_limit=10
    )
    await use(agentdb_uow, row.id, 100, START - DAY)
    await use(agentdb_uow, row.id, 6)
    decide = agentdb_uow.subscription_usage.decide
    with limit_statements(agentdb_uow, max=2):
        decision = await decide("messages", quantity=quantity, now=START + DAY)

    assert decision == Decision(LimitOutcome(outcome), 6, 8, 10, row.id)


PERIODS: dict[str, tuple[datetime | None, datetime | None, datetime, int]] = {
    "the stored one": (START, END, END - TICK, 2),
    "what follows it": (START, END, END + 3 * DAY, 4 + 8),
    "one without an end": (START + TICK, None, START, 4 + 8),
    "the month": (None, None, START + 5 * DAY, 2),
    "the next month": (None, None, END, 4),
}


@pytest.mark.parametrize("name", PERIODS)
async def test_the_current_period_is_that_of_the_subscription(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, name: str
) -> None:
    """After its end what follows; the calendar month in UTC where none is known."""
    start, end, now, used = PERIODS[name]
    row = agentdb_make.tenant_subscription(current_period_start=start, current_period_end=end)
    for quantity, at in ((1, START - TICK), (2, START), (4, END), (8, END + 31 * DAY)):
        await use(agentdb_uow, row.id, quantity, at)
    decision = await agentdb_uow.subscription_usage.decide("messages", now=now)

    assert (decision.used, decision.outcome) == (used, "allow")


async def test_without_a_subscription_nothing_is_limited(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The decision says so; a system unit names the tenant."""
    agentdb_make.tenant_subscription(status="canceled")
    decide = agentdb_uow.subscription_usage.decide

    assert await decide("messages", quantity=5) == ("allow", 0, None, None, None)
    with pytest.raises(InvalidValueError):
        await decide("messages", quantity=-1)
    async with agentdb_database.read(reason="test") as uow:
        decision = await uow.subscription_usage.decide("messages", tenant_id=agentdb_make.tenant.id)
        assert decision.subscription_id is None


@pytest.mark.agentdb_plans
async def test_use_is_summed_up_by_index(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """For a window, and to decide."""
    row = agentdb_make.tenant_subscription()
    (totals,) = await plans_of(
        agentdb_uow, agentdb_uow.subscription_usage.totals(row.id, START, END)
    )
    (limits, used) = await plans_of(agentdb_uow, agentdb_uow.subscription_usage.decide("messages"))

    for plan in (totals, limits, used):
        plan.assert_scans_nothing()
    for plan in (totals, used):
        plan.assert_uses_index("uq_subscription_usage_subscription_id_feature_key_period_start")
    limits.assert_uses_index("ix_tenant_subscriptions_tenant_status")
