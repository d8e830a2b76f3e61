from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    ConflictError,
    InvalidTransitionError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
)
from agentdb.operations import (
    apply_subscription_snapshot,
    cancel_subscription,
    change_plan,
    start_subscription,
)
from agentdb.testing import Factory, limit_statements, run_concurrently

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ORDER = ("stripe", "sub_1")


def plans(make: Factory) -> None:
    """Store a plan and a dearer one."""
    make.billing_plan(code="basic", price_cents=1000)
    make.billing_plan(code="pro", price_cents=2000)


async def pending(uow: UnitOfWork) -> tuple[str, dict[str, Any]]:
    """Return the plan of the current subscription, and its metadata."""
    row = await uow.tenant_subscriptions.current()
    assert row is not None
    return row.plan.code, row.metadata_json or {}


async def test_a_tenant_subscribes_to_a_plan(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """From the clock on; with its plan, and what else is given."""
    plans(agentdb_make)
    row = await start_subscription(
        agentdb_uow, "basic", seat_count=3, billing_email="A@example.com", now=AT
    )

    assert row is await agentdb_uow.tenant_subscriptions.current()
    assert (row.plan.code, row.status, row.starts_at) == ("basic", "active", AT)
    assert (row.seat_count, row.billing_email, row.auto_renew) == (3, "a@example.com", True)
    assert row.processor is None


async def test_a_second_current_subscription_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """That of the same processor's id is returned as it is, after its end too."""
    plans(agentdb_make)
    identity: dict[str, Any] = {"processor": "stripe", "processor_subscription_id": "sub_1"}
    first = await start_subscription(agentdb_uow, "basic", **identity)
    same = await start_subscription(agentdb_uow, "pro", seat_count=3, **identity)
    with pytest.raises(ConflictError):
        await start_subscription(agentdb_uow, "basic")

    assert same is first
    assert (same.plan.code, same.seat_count) == ("basic", None)
    assert await cancel_subscription(agentdb_uow, at_period_end=False)
    assert (await start_subscription(agentdb_uow, "pro", **identity)).status == "canceled"
    second = await start_subscription(agentdb_uow, "pro")
    assert await agentdb_uow.tenant_subscriptions.current() is second


async def test_a_wrong_start_is_refused(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Nothing is stored, and the unit goes on."""
    plans(agentdb_make)
    agentdb_make.billing_plan(code="old", is_active=False)
    with pytest.raises(NotFoundError):
        await start_subscription(agentdb_uow, "absent")
    with pytest.raises(InvalidTransitionError):
        await start_subscription(agentdb_uow, "old")
    wrong: list[dict[str, Any]] = [
        {"status": "canceled"},
        {"processor_subscription_id": "sub_1"},
        {"seat_count": -1},
        {"current_period_start": END, "current_period_end": AT},
    ]
    for fields in wrong:
        with pytest.raises(InvalidValueError):
            await start_subscription(agentdb_uow, "basic", **fields)

    assert await agentdb_uow.tenant_subscriptions.count() == 0


@pytest.mark.agentdb_commits
async def test_sixty_four_concurrent_starts_leave_one_current_subscription(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Half of them with the id of a processor, which find each other's."""
    plans(agentdb_make)

    async def call(number: int) -> UUID:
        identity: dict[str, Any] = {}
        if number % 2:
            identity = {"processor": "stripe", "processor_subscription_id": "sub_1"}
        async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
            return (await start_subscription(uow, "basic", **identity)).id

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert {type(error) for error in outcomes.errors} == {ConflictError}
    assert len(set(outcomes.results)) == 1
    assert len(outcomes.results) in {1, 32}
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        assert await uow.tenant_subscriptions.count() == 1


async def test_a_snapshot_makes_a_subscription(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With the keys that the processor is asked by later."""
    plans(agentdb_make)
    row, applied = await apply_subscription_snapshot(
        agentdb_uow,
        *ORDER,
        "basic",
        "trialing",
        event_at=AT,
        current_period_end=END,
        processor_customer_id="cus_1",
        processor_price_id="price_1",
        processor_schedule_id=None,
    )

    assert applied
    assert (row.processor, row.processor_subscription_id) == ORDER
    assert (row.status, row.plan.code, row.starts_at) == ("trialing", "basic", AT)
    assert (row.current_period_end, row.processor_customer_id) == (END, "cus_1")
    assert row.metadata_json == {
        "processor_price_id": "price_1",
        "processor_event_at": "2026-03-01T12:00:00.000000+00:00",
    }


async def test_an_older_snapshot_changes_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One of the same instant does; what a snapshot lacks survives it."""
    plans(agentdb_make)
    usual: dict[str, Any] = {"seat_count": 3, "processor_price_id": "price_1"}
    row, _ = await apply_subscription_snapshot(
        agentdb_uow, *ORDER, "basic", "active", event_at=AT, **usual
    )
    own = {**(row.metadata_json or {}), "note": "host"}
    await agentdb_uow.tenant_subscriptions.update(row.id, metadata_json=own)
    older = await apply_subscription_snapshot(
        agentdb_uow, *ORDER, "pro", "canceled", event_at=AT - HOUR, seat_count=9
    )
    assert older == (row, False)
    assert (row.plan.code, row.status, row.seat_count) == ("basic", "active", 3)

    same = await apply_subscription_snapshot(agentdb_uow, *ORDER, "pro", "past_due", event_at=AT)
    assert same == (row, True)
    assert (row.plan.code, row.status, row.seat_count) == ("pro", "past_due", 3)
    assert row.metadata_json == own

    gone: dict[str, Any] = {"processor_price_id": None, "seat_count": None}
    await apply_subscription_snapshot(
        agentdb_uow, *ORDER, "pro", "canceled", event_at=AT + HOUR, **gone
    )
    assert (row.status, row.seat_count) == ("canceled", None)
    assert row.metadata_json == {
        "note": "host",
        "processor_event_at": "2026-03-01T13:00:00.000000+00:00",
    }
    assert await agentdb_uow.tenant_subscriptions.current() is None


async def test_a_snapshot_does_not_make_a_second_subscription_current(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Until the other has ended; that of an end never conflicts."""
    plans(agentdb_make)
    await start_subscription(agentdb_uow, "basic")
    with pytest.raises(ConflictError):
        await apply_subscription_snapshot(agentdb_uow, *ORDER, "pro", "active", event_at=AT)
    ended, _ = await apply_subscription_snapshot(
        agentdb_uow, *ORDER, "pro", "canceled", event_at=AT
    )
    with pytest.raises(ConflictError):
        await apply_subscription_snapshot(agentdb_uow, *ORDER, "pro", "active", event_at=END)
    assert ended.status == "canceled"

    await cancel_subscription(agentdb_uow, at_period_end=False)
    await apply_subscription_snapshot(agentdb_uow, *ORDER, "pro", "active", event_at=END)
    assert await agentdb_uow.tenant_subscriptions.current() is ended


async def test_a_wrong_snapshot_is_refused(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Nothing is stored; a system unit names the tenant."""
    plans(agentdb_make)
    apply, unit = apply_subscription_snapshot, agentdb_uow
    with pytest.raises(NotFoundError):
        await apply(unit, *ORDER, "absent", "active", event_at=AT)
    with pytest.raises(NaiveDatetimeError):
        await apply(unit, *ORDER, "basic", "active", event_at=AT.replace(tzinfo=None))
    with pytest.raises(InvalidValueError):
        await apply(unit, *ORDER, "basic", "x" * 25, event_at=AT)
    assert await agentdb_uow.tenant_subscriptions.count() == 0

    async with agentdb_database.begin_system(reason="webhook") as uow:
        tenant = agentdb_make.tenant.id
        row, _ = await apply(uow, *ORDER, "basic", "active", event_at=AT, tenant_id=tenant)
        assert row.tenant_id == tenant
        with pytest.raises(NotFoundError):
            await apply(uow, *ORDER, "basic", "active", event_at=AT, tenant_id=uuid4())


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("callers", [8, 64])
async def test_concurrent_snapshots_leave_one_row_as_the_latest_says(
    agentdb_database: Database, agentdb_make: Factory, callers: int
) -> None:
    """In whatever order they come; ``current`` finds it."""
    plans(agentdb_make)

    async def call(number: int) -> UUID:
        at = AT + (number * 37 % callers) * HOUR
        async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
            code = "pro" if at == AT + (callers - 1) * HOUR else "basic"
            found = await apply_subscription_snapshot(
                uow, *ORDER, code, "active", event_at=at, seat_count=number
            )
            return found.subscription.id

    outcomes = await run_concurrently(callers, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len(set(outcomes.results)) == 1
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        assert await uow.tenant_subscriptions.count() == 1
        row = await uow.tenant_subscriptions.current()
        assert row is not None
        assert row.plan.code == "pro"
        assert row.seat_count is not None
        assert row.seat_count * 37 % callers == callers - 1


async def test_current_never_raises(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Should an import have left several, it is the newest; the verbs go on with that."""
    plans(agentdb_make)
    for number in range(3):
        agentdb_make.tenant_subscription(
            tenant_id=agentdb_make.tenant.id,
            status="active",
            starts_at=AT - number * DAY,
            seat_count=number,
            processor="stripe",
            processor_subscription_id=f"sub_{number}",
        )
    row = await agentdb_uow.tenant_subscriptions.current()

    assert row is not None
    assert row.seat_count == 0
    _, applied = await apply_subscription_snapshot(
        agentdb_uow, *ORDER, "pro", "past_due", event_at=AT
    )
    assert applied
    assert (await change_plan(agentdb_uow, "pro", timing="immediate")).id == row.id
    assert await cancel_subscription(agentdb_uow, at_period_end=False)


async def test_a_subscription_runs_out(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """It stays current to the end of the period; its pending change is off; once is enough."""
    plans(agentdb_make)
    await start_subscription(agentdb_uow, "pro", current_period_end=END, now=AT)
    await change_plan(agentdb_uow, "basic", now=AT)

    assert await cancel_subscription(agentdb_uow, now=AT)
    assert not await cancel_subscription(agentdb_uow, now=AT + DAY)
    row = await agentdb_uow.tenant_subscriptions.current()
    assert row is not None
    assert (row.cancel_at, row.auto_renew, row.metadata_json) == (END, False, None)
    assert await cancel_subscription(agentdb_uow, at_period_end=False, now=AT + DAY)
    assert (row.status, row.cancel_at) == ("canceled", AT + DAY)
    assert not await cancel_subscription(agentdb_uow)


@pytest.mark.parametrize("end", [None, AT - DAY])
async def test_a_subscription_without_a_period_ends_at_once(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, end: datetime | None
) -> None:
    """There is nothing to wait for."""
    plans(agentdb_make)
    row = await start_subscription(agentdb_uow, "basic", current_period_end=end, now=AT - DAY)

    assert await cancel_subscription(agentdb_uow, now=AT)
    assert (row.status, row.cancel_at, row.auto_renew) == ("canceled", AT, False)


STATEMENTS = {
    "start": 5,
    "start again": 2,
    "snapshot": 5,
    "snapshot again": 4,
    "snapshot of another plan": 5,
    "older snapshot": 3,
    "change": 5,
    "cancel": 4,
}
"""The most that each sends, without reading the clock of PostgreSQL."""


async def test_each_operation_sends_few_statements(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """However many subscriptions there were."""
    plans(agentdb_make)
    for _ in range(3):
        agentdb_make.tenant_subscription(status="canceled")
    uow, apply = agentdb_uow, apply_subscription_snapshot
    identity: dict[str, Any] = {"processor": "stripe", "processor_subscription_id": "sub_1"}
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "start": lambda: start_subscription(uow, "basic", **identity, now=AT),
        "start again": lambda: start_subscription(uow, "basic", **identity, now=AT),
        "snapshot again": lambda: apply(uow, *ORDER, "basic", "active", event_at=AT),
        "snapshot of another plan": lambda: apply(uow, *ORDER, "pro", "active", event_at=AT),
        "older snapshot": lambda: apply(uow, *ORDER, "pro", "active", event_at=AT - DAY),
        "change": lambda: change_plan(uow, "basic", now=AT),
        "cancel": lambda: cancel_subscription(uow, now=AT),
        "snapshot": lambda: apply(uow, "stripe", "sub_2", "pro", "active", event_at=AT),
    }
    for name, call in calls.items():
        with limit_statements(uow, max=STATEMENTS[name]):
            await call()
