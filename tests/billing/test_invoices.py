from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError, ValueTooLongError
from agentdb.testing import Factory, run_concurrently
from tests.plans import plans_of

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)


async def test_an_invoice_is_known_by_its_external_id(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Even when its period moves; what a later report does not name stays."""
    subscription = agentdb_make.tenant_subscription().id
    put = agentdb_uow.subscription_invoices.put
    first, new = await put(
        subscription, START, END, 100, external_invoice_id="in_1", status="open", currency="EUR"
    )
    second, again = await put(subscription, END, END, 200, external_invoice_id="in_1")

    assert (new, again) == (True, False)
    assert first is second
    assert (second.amount_cents, second.period_start) == (200, END)
    assert (second.status, second.currency) == ("open", "EUR")


async def test_two_invoices_of_one_period_are_two(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One without an id is known by its period, among those without one."""
    subscription = agentdb_make.tenant_subscription().id
    put = agentdb_uow.subscription_invoices.put
    for amount, key in ((1, "in_1"), (2, "in_2"), (3, None), (4, None)):
        await put(subscription, START, END, amount, external_invoice_id=key)
    await put(subscription, END, END, 5)

    rows = await agentdb_uow.subscription_invoices.all()
    assert sorted(row.amount_cents for row in rows) == [1, 2, 4, 5]


@pytest.mark.parametrize("settled", ["paid", "void", "uncollectible"])
@pytest.mark.parametrize("late", ["draft", "open"])
async def test_a_settled_invoice_does_not_open_again(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, settled: str, late: str
) -> None:
    """A late report changes nothing; one of another end, or without a state, does."""
    subscription = agentdb_make.tenant_subscription().id
    put = agentdb_uow.subscription_invoices.put
    key = {"external_invoice_id": "in_1"}
    await put(subscription, START, END, 100, status="open", **key)
    await put(subscription, START, END, 100, status=settled, **key)
    row, created = await put(subscription, START, END, 1, status=late, **key)

    assert (row.status, row.amount_cents, created) == (settled, 100, False)
    await put(subscription, START, END, 2, **key)
    assert (row.status, row.amount_cents) == (settled, 2)
    await put(subscription, START, END, 2, status="void", **key)
    assert row.status == "void"


REFUSED: dict[str, dict[str, Any]] = {
    "period": {"period_end": START - timedelta(1)},
    "naive": {"period_start": datetime(2026, 3, 1)},  # noqa: DTZ001 -- what is refused
    "currency": {"currency": "eur"},
    "long id": {"external_invoice_id": "x" * 129},
    "long url": {"hosted_invoice_url": "x" * 257},
    "amount": {"amount_cents": 2**31},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_invoice_is_not_stored(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, name: str
) -> None:
    """And the unit goes on."""
    subscription = agentdb_make.tenant_subscription().id
    usual = {"period_start": START, "period_end": END, "amount_cents": 1}
    given: dict[str, Any] = {**usual, **REFUSED[name]}
    with pytest.raises(ValueTooLongError if "long" in name else InvalidValueError):
        await agentdb_uow.subscription_invoices.put(subscription, **given)

    assert await agentdb_uow.subscription_invoices.count() == 0


async def test_an_invoice_belongs_to_a_subscription_of_the_tenant(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Another tenant's does not exist."""
    other = agentdb_make.tenant_subscription(tenant_id=agentdb_make.tenant_account().id)
    for subscription in (other.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.subscription_invoices.put(subscription, START, END, 1)


async def test_the_invoices_of_a_tenant_come_newest_first(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Of all its subscriptions, each once, also where periods begin together."""
    ended = agentdb_make.tenant_subscription(status="canceled").id
    current = agentdb_make.tenant_subscription().id
    other = agentdb_make.tenant_account()
    theirs_subscription = agentdb_make.tenant_subscription(tenant_id=other.id).id
    foreign = agentdb_make.subscription_invoice(subscription_id=theirs_subscription)
    put = agentdb_uow.subscription_invoices.put
    months = [(ended, START), (current, END), (ended, END), (current, END), (current, START)]
    for number, (subscription, start) in enumerate(months):
        await put(subscription, start, start, 1, external_invoice_id=f"in_{number}")
    found: list[Any] = []
    cursor: str | None = None
    while not found or cursor:
        page = await agentdb_uow.subscription_invoices.for_tenant(after=cursor, limit=2)
        found += page.items
        cursor = page.next_cursor

    assert [row.period_start for row in found] == [END] * 3 + [START] * 2
    assert len({row.id for row in found}) == 5
    async with agentdb_database.read(reason="test") as uow:
        (theirs,) = (await uow.subscription_invoices.for_tenant(tenant_id=other.id)).items
        assert theirs.id == foreign.id


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("key", ["in_1", None])
async def test_eight_concurrent_puts_leave_one_invoice(
    agentdb_database: Database, agentdb_make: Factory, key: str | None
) -> None:
    """One of them is told that it is new; with and without an external id."""
    subscription = agentdb_make.tenant_subscription().id

    async def call(number: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
            row, created = await uow.subscription_invoices.put(
                subscription, START, END, number, external_invoice_id=key
            )
            return row.id, created

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len({row for row, _ in outcomes.results}) == 1, outcomes.errors
    assert sorted(created for _, created in outcomes.results) == [False] * 7 + [True]


@pytest.mark.agentdb_plans
async def test_an_invoice_is_looked_up_by_index(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By its external id."""
    subscription = agentdb_make.tenant_subscription().id
    work = agentdb_uow.subscription_invoices.put(
        subscription, START, END, 1, external_invoice_id="in_1"
    )
    plans = await plans_of(agentdb_uow, work)

    plans[1].assert_uses_index("ix_subscription_invoices_external")
    for plan in plans:
        plan.assert_scans_nothing()
