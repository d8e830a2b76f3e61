from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidTransitionError, InvalidValueError, NotFoundError
from agentdb.maintenance import apply_pending_plans
from agentdb.models import TenantSubscription
from agentdb.operations import apply_subscription_snapshot, change_plan, start_subscription
from agentdb.testing import Factory, FrozenClock, run_concurrently

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def plans(make: Factory) -> None:
    """Store plans: the present one, and others beside it."""
    for code, price in (("basic", 1000), ("same", 1000), ("pro", 2000), ("free", 0)):
        make.billing_plan(code=code, price_cents=price)
    make.billing_plan(code="year", price_cents=9000, interval="yearly")
    make.billing_plan(code="quarter", price_cents=2500, interval_count=3)
    make.billing_plan(code="euro", price_cents=2000, currency="EUR")
    make.billing_plan(code="old", price_cents=3000, is_active=False)


async def start(uow: UnitOfWork, **fields: Any) -> TenantSubscription:
    """Subscribe to the basic plan until the end of the month, with three seats."""
    usual: dict[str, Any] = {"current_period_end": END, "seat_count": 3, "now": AT}
    return await start_subscription(uow, "basic", **{**usual, **fields})


@pytest.mark.parametrize(
    ("code", "seats", "timing", "at_once"),
    [
        ("pro", None, "auto", True),
        ("pro", 1, "auto", True),
        ("free", None, "auto", False),
        ("same", None, "auto", False),
        ("year", None, "auto", False),
        ("quarter", None, "auto", False),
        ("euro", None, "auto", False),
        ("basic", 4, "auto", True),
        ("basic", 3, "auto", True),
        ("basic", 2, "auto", False),
        ("pro", 5, "period_end", False),
        ("free", 0, "immediate", True),
        ("year", None, "immediate", True),
    ],
)
async def test_a_change_is_at_once_or_waits(  # noqa: PLR0917 -- a table
    agentdb_uow: UnitOfWork,
    agentdb_make: Factory,
    code: str,
    seats: int | None,
    timing: str,
    at_once: bool,
) -> None:
    """Dearer ones of the same interval and currency are at once, if nothing else is said."""
    plans(agentdb_make)
    before = await start(agentdb_uow)
    row = await change_plan(agentdb_uow, code, seat_count=seats, timing=timing, now=AT)

    assert row is before
    if at_once:
        assert (row.plan.code, row.seat_count) == (code, 3 if seats is None else seats)
        assert row.metadata_json is None
    else:
        assert (row.plan.code, row.seat_count) == ("basic", 3)
        waiting = {
            "pending_plan_code": code,
            "pending_plan_effective_at": "2026-04-01T00:00:00.000000+00:00",
            "pending_seat_count": seats,
        }
        assert row.metadata_json == {k: v for k, v in waiting.items() if v is not None}
    assert row.plan.id == row.plan_id


@pytest.mark.parametrize("end", [None, AT])
async def test_without_a_period_a_change_is_at_once(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, end: datetime | None
) -> None:
    """There is no end to wait for."""
    plans(agentdb_make)
    await start(agentdb_uow, current_period_end=end, now=AT - DAY)

    row = await change_plan(agentdb_uow, "free", timing="period_end", now=AT)
    assert row.plan.code == "free"


async def test_the_last_change_is_the_one_that_waits(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One to the present plan takes it back; the host's own keys stay."""
    plans(agentdb_make)
    row = await start(agentdb_uow)
    await agentdb_uow.tenant_subscriptions.update(row.id, metadata_json={"note": 1})
    await change_plan(agentdb_uow, "free", seat_count=1, now=AT)
    await change_plan(agentdb_uow, "year", now=AT)
    assert row.metadata_json == {
        "note": 1,
        "pending_plan_code": "year",
        "pending_plan_effective_at": "2026-04-01T00:00:00.000000+00:00",
    }
    await change_plan(agentdb_uow, "basic", now=AT)
    assert row.metadata_json == {"note": 1}


async def test_a_wrong_change_is_refused(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """The subscription stays as it is, on a plan that was deactivated too."""
    plans(agentdb_make)
    with pytest.raises(NotFoundError):
        await change_plan(agentdb_uow, "pro")
    row = await start(agentdb_uow)
    before = row.updated_at
    with pytest.raises(NotFoundError):
        await change_plan(agentdb_uow, "absent")
    with pytest.raises(InvalidTransitionError):
        await change_plan(agentdb_uow, "old")
    refused: list[dict[str, Any]] = [
        {"timing": "later"},
        {"seat_count": -1},
        {"seat_count": 2**31},
    ]
    for wrong in refused:
        with pytest.raises(InvalidValueError):
            await change_plan(agentdb_uow, "pro", **wrong)

    assert (row.plan.code, row.updated_at) == ("basic", before)


@pytest.mark.parametrize(("code", "waits"), [("free", False), ("pro", True)])
async def test_a_snapshot_of_the_waiting_plan_ends_the_wait(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, code: str, waits: bool
) -> None:
    """Once the plan is reached; one of another plan leaves it waiting."""
    plans(agentdb_make)
    identity: dict[str, Any] = {"processor": "stripe", "processor_subscription_id": "sub_1"}
    row = await start(agentdb_uow, **identity)
    await change_plan(agentdb_uow, "free", seat_count=1, now=AT)
    await apply_subscription_snapshot(agentdb_uow, "stripe", "sub_1", code, "active", event_at=END)

    assert row.plan.code == code
    kept = {key for key in row.metadata_json or {} if key.startswith("pending_")}
    assert len(kept) == (3 if waits else 0)


@pytest.mark.agentdb_commits
async def test_changes_that_race_with_the_sweep_leave_one_outcome(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """A due change is applied or replaced, never half of each."""
    plans(agentdb_make)
    agentdb_freeze_now.move_to(END)
    tenant = agentdb_make.tenant.id
    due = "2026-04-01T00:00:00.000000+00:00"
    for _ in range(5):
        async with agentdb_database.begin(tenant=tenant) as uow:
            row = await uow.tenant_subscriptions.current() or await start(uow)
            pro = await uow.billing_plans.by_code("pro")
            assert pro is not None
            await uow.tenant_subscriptions.update(
                row.id,
                plan_id=pro.id,
                seat_count=3,
                current_period_end=END + DAY,
                metadata_json={
                    "pending_plan_code": "free",
                    "pending_plan_effective_at": due,
                    "pending_seat_count": 1,
                },
            )

        async def call(number: int) -> Any:
            if number % 2:
                return await apply_pending_plans(agentdb_database)
            async with agentdb_database.begin(tenant=tenant) as uow:
                return await change_plan(uow, "basic", seat_count=2, timing="period_end")

        outcomes = await run_concurrently(8, call, database=agentdb_database)
        assert outcomes.errors == []
        applied = sum(report.counts["applied"] for report in outcomes.results[1::2])
        async with agentdb_database.read(tenant=tenant) as uow:
            found = await uow.tenant_subscriptions.current()
            assert found is not None
            reached = ("free", 1) if applied else ("pro", 3)
            assert applied in {0, 1}
            assert (found.plan.code, found.seat_count) == reached
            assert found.metadata_json == {
                "pending_plan_code": "basic",
                "pending_plan_effective_at": "2026-04-02T00:00:00.000000+00:00",
                "pending_seat_count": 2,
            }
