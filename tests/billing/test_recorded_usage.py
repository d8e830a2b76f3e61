from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    ValueTooLongError,
)
from agentdb.models import BillingPlan, SubscriptionUsage, TenantAccount, TenantSubscription
from agentdb.testing import Factory, capture_statements, run_concurrently
from agentdb.unit import TICK
from tests.plans import plans_of

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=1)


async def subscribed(database: Database, tenant: UUID) -> UUID:
    """Return a subscription of the tenant."""
    async with database.begin_system(reason="test") as uow:
        plan = await uow.billing_plans.add(BillingPlan(code="p", name="P", price_cents=1))
        made = TenantSubscription(tenant_id=tenant, plan_id=plan.id)
        return (await uow.tenant_subscriptions.add(made)).id


async def occupy(uow: UnitOfWork, subscription: UUID, distances: list[int]) -> None:
    """Store use at instants so many microseconds behind the start."""
    rows = [
        SubscriptionUsage(
            subscription_id=subscription,
            feature_key="messages",
            unit="units",
            period_start=START + distance * TICK,
            period_end=END,
            quantity=1,
        )
        for distance in distances
    ]
    await uow.subscription_usage.add_many(rows)


async def test_an_event_is_recorded_once(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """The repeated one changes nothing, whatever it says; another feature is another row."""
    subscription = agentdb_make.tenant_subscription().id
    record = agentdb_uow.subscription_usage.record_once
    first, created = await record(
        subscription, "messages", 2, START, END, external_event_id="e1", unit="pieces", now=START
    )
    again, twice = await record(subscription, "messages", 9, END, END, external_event_id="e1")
    other, also = await record(subscription, "input_tokens", 5, START, END, external_event_id="e1")

    assert (created, twice, also) == (True, False, True)
    assert first is again
    assert (first.quantity, first.unit, first.reported_at) == (2, "pieces", START)
    assert (first.period_start, first.period_end) == (START, END)
    assert (other.quantity, other.period_start) == (5, START)
    assert await agentdb_uow.subscription_usage.count() == 2


async def test_two_events_of_one_instant_both_count(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The later one begins at the next free microsecond, so behind an added-up row, too."""
    subscription = agentdb_make.tenant_subscription().id
    usage = agentdb_uow.subscription_usage
    await usage.increment(subscription, "messages", 1, START, END)
    rows = [
        (await usage.record_once(subscription, "messages", 2, START, START, external_event_id=e))[0]
        for e in ("e1", "e2")
    ]

    assert [row.period_start for row in rows] == [START + TICK, START + 2 * TICK]
    assert [row.period_end for row in rows] == [START + TICK, START + 2 * TICK]
    assert sum(row.quantity for row in await usage.all()) == 5


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], 0),
        ([1], 0),
        ([0], 1),
        ([0, 2], 1),
        ([0, 1, 3, 4], 2),
        (list(range(64)), 64),
        (list(range(65)), 65),
        (list(range(66)), 66),
        ([n for n in range(400) if n != 50], 50),
        (list(range(127)), 127),
        (list(range(128)), 128),
        (list(range(129)), 129),
        (list(range(1000)), 1000),
        (list(range(5003)), 5003),
    ],
    ids=str,
)
async def test_a_taken_instant_moves_to_the_next_free_one(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, taken: list[int], free: int
) -> None:
    """Gaps are used if they are near, and the end of a long run is found."""
    subscription = agentdb_make.tenant_subscription().id
    await occupy(agentdb_uow, subscription, taken)
    row, _ = await agentdb_uow.subscription_usage.record_once(
        subscription, "messages", 1, START, END, external_event_id="e"
    )

    assert (row.period_start - START) // TICK == free


async def test_the_cost_grows_little_with_the_length_of_a_run(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Behind thousands of events of one instant, a few statements find the next free one."""
    subscription = agentdb_make.tenant_subscription().id
    await occupy(agentdb_uow, subscription, list(range(9000)))
    record = agentdb_uow.subscription_usage.record_once
    with capture_statements(agentdb_uow) as sent:
        await record(subscription, "messages", 1, START, END, external_event_id="e")

    assert len([sql for sql in sent if "period_start IN" in sql]) <= 5


@pytest.mark.agentdb_plans
async def test_every_look_follows_an_index(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """The id of the event has its own, instants are found by the unique key."""
    subscription = agentdb_make.tenant_subscription().id
    await occupy(agentdb_uow, subscription, list(range(200)))
    record = agentdb_uow.subscription_usage.record_once
    plans = await plans_of(
        agentdb_uow, record(subscription, "messages", 1, START, END, external_event_id="e")
    )
    looks = [plan for plan in plans if any("subscription_usage" in i for i in plan.indexes)]

    looks[0].assert_uses_index("ix_subscription_usage_external_event")
    for plan in looks[1:]:
        plan.assert_uses_index("uq_subscription_usage_subscription_id_feature_key_period_start")
    assert len(looks) > 3
    for plan in plans:
        plan.assert_scans_nothing()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"quantity": -1}, InvalidValueError),
        ({"external_event_id": ""}, InvalidValueError),
        ({"external_event_id": "x" * 129}, ValueTooLongError),
        ({"feature_key": "x" * 65}, ValueTooLongError),
        ({"period_end": START - TICK}, InvalidValueError),
        ({"period_start": START.replace(tzinfo=None)}, NaiveDatetimeError),
    ],
)
async def test_a_refused_event_is_not_recorded(
    agentdb_uow: UnitOfWork,
    agentdb_make: Factory,
    values: dict[str, Any],
    error: type[InvalidValueError],
) -> None:
    """And the unit goes on."""
    subscription = agentdb_make.tenant_subscription().id
    usual = {"feature_key": "messages", "quantity": 1, "period_start": START, "period_end": END}
    given: dict[str, Any] = {"external_event_id": "e", **usual, **values}
    with pytest.raises(error):
        await agentdb_uow.subscription_usage.record_once(subscription, **given)

    assert await agentdb_uow.subscription_usage.count() == 0


async def test_an_event_of_another_tenants_subscription_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It does not exist."""
    other = agentdb_make.tenant_subscription(tenant_id=agentdb_make.tenant_account().id)
    for subscription in (other.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.subscription_usage.record_once(
                subscription, "messages", 1, START, END, external_event_id="e"
            )


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("callers", [8, 64])
async def test_concurrent_deliveries_of_an_event_leave_one_row(
    agentdb_database: Database, agentdb_tenant: TenantAccount, callers: int
) -> None:
    """One caller is told that it is new."""
    subscription = await subscribed(agentdb_database, agentdb_tenant.id)

    async def call(_: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            row, created = await uow.subscription_usage.record_once(
                subscription, "messages", 3, START, END, external_event_id="e"
            )
            return row.id, created

    outcomes = await run_concurrently(callers, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len({key for key, _ in outcomes.results}) == 1
    assert [created for _, created in outcomes.results].count(True) == 1
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert [row.quantity for row in await uow.subscription_usage.all()] == [3]


@pytest.mark.agentdb_commits
async def test_64_concurrent_events_of_one_instant_all_count(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each has its row, next to each other, while others add up for the very same instant."""
    subscription = await subscribed(agentdb_database, agentdb_tenant.id)

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            usage = uow.subscription_usage
            if number >= 64:
                await usage.increment(subscription, "messages", 1000, START, END)
                return
            await usage.record_once(
                subscription, "messages", number, START, END, external_event_id=f"e{number}"
            )

    outcomes = await run_concurrently(68, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        rows = await uow.subscription_usage.all(order=[SubscriptionUsage.period_start])
        assert sum(row.quantity for row in rows) == sum(range(64)) + 4000
        assert {row.external_event_id for row in rows} - {None} == {f"e{n}" for n in range(64)}
        assert [row.period_start for row in rows] == [START + n * TICK for n in range(len(rows))]
