"""The life of a tenant's subscriptions against a model that is a few plain objects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database
from agentdb.billing.rows import NewPlan
from agentdb.errors import AgentDBError, ConflictError, NotFoundError
from agentdb.maintenance import apply_pending_plans
from agentdb.operations import (
    apply_subscription_snapshot,
    cancel_subscription,
    change_plan,
    start_subscription,
)
from agentdb.testing import FrozenClock
from tests.machines import run_machine

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PRICES = {"free": 0, "basic": 10, "pro": 20}
YEARLY = {"annual": 100}
CODES = [*PRICES, *YEARLY]
ENDED = {"canceled", "incomplete_expired"}
STATES = ["active", "past_due", "surprising", *ENDED]
IDS = ["sub_1", "sub_2"]


@dataclass
class Subscription:
    """What a row should be; ``pending`` is the code, the instant and the seats of a change."""

    plan: str
    status: str
    starts_at: datetime
    period_end: datetime | None
    seats: int | None
    identity: str | None
    cancel_at: datetime | None = None
    auto_renew: bool = True
    told_at: datetime | None = None
    pending: tuple[str, datetime, int | None] | None = None

    @property
    def is_current(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED

    def reach(self, plan: str, seats: int | None) -> None:
        """Move to a plan; seats are left where none are given."""
        self.plan, self.pending = plan, None
        self.seats = self.seats if seats is None else seats


class Life(RuleBasedStateMachine):
    """Rules do what hosts, processors, tenants and sweeps do; each in a unit of its own."""

    database: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    clock: ClassVar[FrozenClock]

    def __init__(self) -> None:
        super().__init__()
        self.clock.move_to(START)
        self.model: list[Subscription] = []
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        plans = [NewPlan(code=code, name=code, price_cents=n) for code, n in PRICES.items()]
        plans += [
            NewPlan(code=code, name=code, price_cents=n, interval="yearly")
            for code, n in YEARLY.items()
        ]
        async with self.database.begin_system(reason="test") as uow:
            await uow.billing_plans.sync_catalogue(plans)
            made = await uow.tenant_accounts.create("Model", f"model-{uuid4().hex}")
            self.tenant = made.id

    def expect(
        self, operation: Any, *arguments: Any, error: type[AgentDBError] | None, **options: Any
    ) -> Any:
        """Run an operation; it returns, or raises the one error that it should."""

        async def unit() -> Any:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await operation(uow, *arguments, **options)

        if error is None:
            return self.runner.run(unit())
        with pytest.raises(error):
            self.runner.run(unit())
        return None

    @property
    def current(self) -> Subscription | None:
        """The one that has not ended."""
        return next((row for row in self.model if row.is_current), None)

    def by_id(self, identity: str | None) -> Subscription | None:
        """Return the one that the processor knows."""
        known = [row for row in self.model if identity and row.identity == identity]
        return known[0] if known else None

    @rule(
        code=st.sampled_from(CODES),
        identity=st.sampled_from([None, *IDS]),
        days=st.sampled_from([None, -1, 10]),
        seats=st.sampled_from([None, 2]),
    )
    def start(self, code: str, identity: str | None, days: int | None, seats: int | None) -> None:
        """A known one is found, a second current one refused."""
        now = self.clock()
        end = None if days is None else now + days * DAY
        known = self.by_id(identity)
        error = ConflictError if known is None and self.current else None
        processor: dict[str, Any] = {}
        if identity:
            processor = {"processor": "stripe", "processor_subscription_id": identity}
        fields = {"seat_count": seats, "current_period_end": end, **processor}
        self.expect(start_subscription, code, error=error, **fields)
        if known is None and error is None:
            self.model.append(Subscription(code, "active", now, end, seats, identity))

    @rule(
        identity=st.sampled_from(IDS),
        code=st.sampled_from(CODES),
        status=st.sampled_from(STATES),
        age=st.integers(0, 5),
        fields=st.fixed_dictionaries(
            {},
            optional={"seat_count": st.sampled_from([None, 1, 5]), "days": st.integers(-1, 10)},
        ),
    )
    def tell(self, identity: str, code: str, status: str, age: int, fields: dict[str, Any]) -> None:
        """A snapshot applies unless it is older, or a second one would be current."""
        at = self.clock() - age * DAY
        given = {k: v for k, v in fields.items() if k != "days"}
        if "days" in fields:
            given["current_period_end"] = at + fields["days"] * DAY
        row = self.by_id(identity)
        older = row is not None and row.told_at is not None and at < row.told_at
        becomes = status not in ENDED and (row is None or not row.is_current)
        error = ConflictError if becomes and not older and self.current else None
        told = self.expect(
            apply_subscription_snapshot,
            "stripe",
            identity,
            code,
            status,
            event_at=at,
            error=error,
            **given,
        )
        if error is not None:
            return
        assert told.applied == (not older)
        if older:
            return
        if row is None:
            row = Subscription(code, status, at, None, None, identity)
            self.model.append(row)
        row.plan, row.status, row.told_at = code, status, at
        row.seats = given.get("seat_count", row.seats)
        row.period_end = given.get("current_period_end", row.period_end)
        if row.pending and row.pending[0] == code:
            row.pending = None

    @rule(
        code=st.sampled_from(CODES),
        seats=st.sampled_from([None, 1, 5]),
        timing=st.sampled_from(["auto", "immediate", "period_end"]),
    )
    def change(self, code: str, seats: int | None, timing: str) -> None:
        """A dearer plan of the month, and more seats, are at once; the rest waits."""
        row = self.current
        error = None if row else NotFoundError
        self.expect(change_plan, code, seat_count=seats, timing=timing, error=error)
        if row is None:
            return
        dearer = code in PRICES and row.plan in PRICES and PRICES[code] > PRICES[row.plan]
        more = code == row.plan and (seats is None or seats >= (row.seats or 0))
        waits = timing == "period_end" or (timing == "auto" and not (dearer or more))
        if waits and row.period_end and row.period_end > self.clock():
            row.pending = (code, row.period_end, seats)
        else:
            row.reach(code, seats)

    @rule(at_period_end=st.booleans())
    def cancel(self, at_period_end: bool) -> None:
        """At the end of the period, if one is under way."""
        row, now = self.current, self.clock()
        later = row and at_period_end and row.period_end and row.period_end > now
        done = row is not None and not (later and row.cancel_at)
        assert done == self.expect(cancel_subscription, at_period_end=at_period_end, error=None)
        if row is None or not done:
            return
        row.auto_renew, row.pending = False, None
        row.cancel_at = row.period_end if later else now
        row.status = row.status if later else "canceled"

    @rule(days=st.integers(0, 6))
    def wait(self, days: int) -> None:
        """Time goes on, and the sweep applies what is due."""
        now = self.clock.advance(days * DAY)
        due = [row for row in self.model if row.is_current and row.pending]
        due = [row for row in due if row.pending and row.pending[1] <= now]
        sweep = apply_pending_plans(self.database, tenant_id=self.tenant)
        assert self.runner.run(sweep).counts == {"applied": len(due)}
        for row in due:
            assert row.pending
            row.reach(row.pending[0], row.pending[2])

    @invariant()
    def is_as_the_model_says(self) -> None:
        """The stored rows are those of the model, and one at the most is current."""
        stored, current = self.runner.run(self._stored())
        assert sorted(map(repr, stored)) == sorted(map(repr, self.model))
        assert sum(row.is_current for row in self.model) == (current is not None)
        assert repr(current) == repr(self.current)

    async def _stored(self) -> tuple[list[Subscription], Subscription | None]:
        async with self.database.read(tenant=self.tenant) as uow:
            plans = {plan.id: plan.code for plan in await uow.billing_plans.all()}
            rows = [seen(row, plans[row.plan_id]) for row in await uow.tenant_subscriptions.all()]
            current = await uow.tenant_subscriptions.current()
            return rows, seen(current, current.plan.code) if current else None


def seen(row: Any, plan: str) -> Subscription:
    """Return a stored row as the model has it."""
    metadata: dict[str, Any] = dict(row.metadata_json or {})
    told, pending = metadata.pop("processor_event_at", None), None
    if metadata:
        at = datetime.fromisoformat(metadata.pop("pending_plan_effective_at"))
        pending = (metadata.pop("pending_plan_code"), at, metadata.pop("pending_seat_count", None))
    assert metadata == {}
    return Subscription(
        plan,
        row.status,
        row.starts_at,
        row.current_period_end,
        row.seat_count,
        row.processor_subscription_id,
        row.cancel_at,
        row.auto_renew,
        datetime.fromisoformat(told) if told else None,
        pending,
    )


@pytest.mark.agentdb_commits
def test_a_subscription_lives_as_its_model(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """Starts, snapshots, changes, cancellations and sweeps, in any order and of any age."""
    run_machine(Life, agentdb_database, steps=25, examples=20, clock=agentdb_freeze_now)
