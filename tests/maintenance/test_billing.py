from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agentdb import Database
from agentdb.errors import InvalidValueError
from agentdb.maintenance import Report, apply_pending_plans
from agentdb.maintenance.billing import PendingPlans
from agentdb.models import TenantSubscription
from agentdb.operations import change_plan
from agentdb.testing import Factory, FrozenClock, run_concurrently
from tests.plans import plans_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def waiting(at: str, code: str = "free", **more: Any) -> dict[str, Any]:
    """Return the metadata of a subscription with a pending change."""
    return {"pending_plan_code": code, "pending_plan_effective_at": at, **more}


def subscribe(make: Factory, metadata: dict[str, Any], **fields: Any) -> TenantSubscription:
    """Store a subscription of a tenant of its own."""
    tenant = make.tenant_account()
    return make.tenant_subscription(tenant_id=tenant.id, metadata_json=metadata, **fields)


async def rows(database: Database) -> dict[UUID, tuple[UUID, int | None, Any]]:
    """Return plan, seats and metadata of each subscription."""
    async with database.read(reason="test") as uow:
        found = await uow.tenant_subscriptions.all()
        return {row.id: (row.plan_id, row.seat_count, row.metadata_json) for row in found}


async def test_due_changes_are_applied(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """To the microsecond; the seats only where they change too, and other keys stay."""
    agentdb_freeze_now.move_to(NOW)
    free = agentdb_make.billing_plan(code="free").id
    due = "2026-04-01T00:00:00.000000+00:00"
    plain = subscribe(agentdb_make, waiting(due), seat_count=5)
    seats = subscribe(agentdb_make, waiting(due, pending_seat_count=2, note=1), seat_count=5)
    left = [
        subscribe(agentdb_make, waiting("2026-04-01T00:00:00.000001+00:00")),
        subscribe(agentdb_make, waiting(due), status="canceled"),
        subscribe(agentdb_make, waiting(due, code="gone")),
        subscribe(agentdb_make, waiting("soon")),
        subscribe(agentdb_make, {"note": 1}),
        agentdb_make.tenant_subscription(metadata_json=None),
    ]
    before = await rows(agentdb_database)
    dry = await apply_pending_plans(agentdb_database, dry_run=True)
    assert before == await rows(agentdb_database)
    report = await apply_pending_plans(agentdb_database)
    after = await rows(agentdb_database)

    assert dry == report == Report({"applied": 2}, done=True)
    assert after[plain.id] == (free, 5, None)
    assert after[seats.id] == (free, 2, {"note": 1})
    assert {row.id: after[row.id] for row in left} == {row.id: before[row.id] for row in left}
    again = await apply_pending_plans(agentdb_database)
    assert again == Report({"applied": 0}, done=True)


async def test_what_a_change_of_the_plan_notes_is_applied_when_it_is_due(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """Not before the end of the period; and at an age only if one is asked for."""
    agentdb_make.billing_plan(code="free", price_cents=0)
    agentdb_make.tenant_subscription(current_period_end=NOW)
    agentdb_freeze_now.move_to(NOW - HOUR)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        await change_plan(uow, "free", seat_count=1)
    counts = [(await apply_pending_plans(agentdb_database)).counts["applied"]]
    agentdb_freeze_now.move_to(NOW + HOUR)
    counts.append(
        (await apply_pending_plans(agentdb_database, older_than=2 * HOUR)).counts["applied"]
    )
    counts.append((await apply_pending_plans(agentdb_database)).counts["applied"])

    assert counts == [0, 0, 1]
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        row = await uow.tenant_subscriptions.current()
        assert row is not None
        assert (row.plan.code, row.seat_count, row.metadata_json) == ("free", 1, None)


async def test_changes_are_applied_in_batches_and_by_tenant(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """Five, two at a time; one tenant's alone where it is named."""
    agentdb_freeze_now.move_to(NOW)
    agentdb_make.billing_plan(code="free")
    due = [subscribe(agentdb_make, waiting("2026-03-01T00:00:00.000000+00:00")) for _ in range(5)]
    verb, tenant = apply_pending_plans, due[3].tenant_id
    one = [await verb(agentdb_database, tenant_id=tenant, dry_run=dry) for dry in (True, False)]
    first = [await verb(agentdb_database, batch=2, max_batches=1, dry_run=d) for d in (True, False)]
    rest = await verb(agentdb_database, batch=2)

    assert one == [Report({"applied": 1}, done=True)] * 2
    assert first == [Report({"applied": 2}, done=False)] * 2
    assert rest == Report({"applied": 2}, done=True)
    with pytest.raises(InvalidValueError):
        await verb(agentdb_database, older_than=-DAY)


@pytest.mark.agentdb_commits
async def test_sweeps_at_once_apply_each_change_once(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """What one has locked the others skip."""
    agentdb_freeze_now.move_to(NOW)
    free = agentdb_make.billing_plan(code="free").id
    for _ in range(12):
        subscribe(agentdb_make, waiting("2026-03-01T00:00:00.000000+00:00"))

    async def call(_: int) -> Report:
        return await apply_pending_plans(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)

    assert outcomes.errors == []
    rest = await apply_pending_plans(agentdb_database)
    assert sum(report.counts["applied"] for report in [*outcomes.results, rest]) == 12
    assert {row[0] for row in (await rows(agentdb_database)).values()} == {free}


@pytest.mark.agentdb_plans
async def test_the_sweep_goes_on_by_the_ids(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Where the last batch ended; the plans are looked up by their codes."""
    sweep = PendingPlans(None, timedelta(0))
    async with agentdb_database.begin_system(reason="test") as uow:
        after = agentdb_make.tenant_subscription().id
        (plan,) = await plans_of(uow, sweep.change(uow, after, 10))

    plan.assert_uses_index("pk_tenant_subscriptions")
    plan.assert_uses_index("uq_billing_plans_code")
    plan.assert_scans_nothing()
