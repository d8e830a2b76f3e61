from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError, ValueOutOfRangeError
from agentdb.models import BillingPlan, TenantAccount, TenantSubscription
from agentdb.testing import Factory, run_concurrently

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=1)


async def test_the_current_subscription_is_the_newest_that_has_not_ended(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With its plan; any state that is not an ending one, known or not, is current."""
    plan = agentdb_make.billing_plan()
    states = ("active", "surprising", "canceled", "incomplete_expired")
    for day, status in enumerate(states):
        row = TenantSubscription(
            tenant_id=agentdb_make.tenant.id,
            plan_id=plan.id,
            status=status,
            starts_at=START + timedelta(days=day),
        )
        await agentdb_uow.tenant_subscriptions.add(row)
    current = await agentdb_uow.tenant_subscriptions.current()

    assert current is not None
    assert current.status == "surprising"
    assert current.plan.id == current.plan_id


async def test_without_a_subscription_none_is_current(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Nor is another tenant's."""
    other = agentdb_make.tenant_account()
    agentdb_make.tenant_subscription(tenant_id=other.id)

    assert await agentdb_uow.tenant_subscriptions.current() is None
    async with agentdb_database.begin_system(reason="test") as uow:
        found = await uow.tenant_subscriptions.current(tenant_id=other.id)
        assert found is not None
        assert found.tenant_id == other.id


async def test_the_use_of_a_period_adds_up(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """By feature and start of the period; the unit of the first time stays."""
    subscription = agentdb_make.tenant_subscription().id
    increment = agentdb_uow.subscription_usage.increment
    first = await increment(subscription, "messages", 2, START, END, unit="pieces", now=START)
    second = await increment(subscription, "messages", 3, START, END, now=END)
    other = await increment(subscription, "input_tokens", 0, START, END)
    later = await increment(subscription, "messages", 1, END, END + (END - START))

    assert first is second
    assert (first.quantity, first.unit, first.reported_at) == (5, "pieces", END)
    assert (other.quantity, other.unit, later.quantity) == (0, "units", 1)
    assert await agentdb_uow.subscription_usage.count() == 3


@pytest.mark.parametrize(
    "values",
    [
        {"quantity": -1},
        {"quantity": True},
        {"feature_key": "x" * 65},
        {"period_end": START - timedelta(1)},
    ],
)
async def test_a_refused_use_is_not_counted(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, values: dict[str, Any]
) -> None:
    """And the unit goes on."""
    subscription = agentdb_make.tenant_subscription().id
    usual = {"feature_key": "messages", "quantity": 1, "period_start": START, "period_end": END}
    given: dict[str, Any] = {**usual, **values}
    with pytest.raises(InvalidValueError):
        await agentdb_uow.subscription_usage.increment(subscription, **given)

    assert await agentdb_uow.subscription_usage.count() == 0


async def test_a_sum_beyond_the_column_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """On both databases alike; the use stays as it was."""
    subscription = agentdb_make.tenant_subscription().id
    increment = agentdb_uow.subscription_usage.increment
    row = await increment(subscription, "messages", 2**31 - 1, START, END)
    with pytest.raises(ValueOutOfRangeError):
        await increment(subscription, "messages", 1, START, END)

    assert (await agentdb_uow.subscription_usage.require(row.id)).quantity == 2**31 - 1


async def test_use_of_another_tenants_subscription_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It does not exist."""
    other = agentdb_make.tenant_subscription(tenant_id=agentdb_make.tenant_account().id)
    for subscription in (other.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.subscription_usage.increment(subscription, "messages", 1, START, END)


@pytest.mark.agentdb_commits
async def test_eight_concurrent_uses_leave_one_row_with_their_sum(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The first ones meet."""
    async with agentdb_database.begin_system(reason="test") as uow:
        plan = await uow.billing_plans.add(BillingPlan(code="p", name="P", price_cents=1))
        made = TenantSubscription(tenant_id=agentdb_tenant.id, plan_id=plan.id)
        subscription = (await uow.tenant_subscriptions.add(made)).id

    async def call(number: int) -> UUID:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            increment = uow.subscription_usage.increment
            return (await increment(subscription, "messages", number, START, END)).id

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(set(outcomes.results)) == 1, outcomes.errors
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.subscription_usage.all()
        assert row.quantity == sum(range(8))
