from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agentdb import Database, UnitOfWork
from agentdb.billing.rows import IngestedInvoice, NewInvoice, UsageLine
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.models import TenantSubscription
from agentdb.operations import ingest_invoice
from agentdb.testing import Factory, run_concurrently

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)

INVOICE = NewInvoice(
    period_start=START,
    period_end=END,
    amount_cents=4200,
    external_invoice_id="in_1",
    status="open",
    hosted_invoice_url="https://pay.example.com/in_1",
)
LINES = [
    UsageLine(
        feature_key=feature,
        quantity=quantity,
        period_start=START,
        period_end=END,
        external_event_id=key,
    )
    for feature, quantity, key in (
        ("messages", 5, "il_1"),
        ("messages", 7, "il_2"),
        ("seats", 3, "il_3"),
    )
]


def subscribe(make: Factory) -> TenantSubscription:
    """Store the subscription that the invoices are of."""
    return make.tenant_subscription(processor="stripe", processor_subscription_id="sub_1")


async def used(uow: UnitOfWork, subscription: TenantSubscription) -> dict[str, int]:
    """Return the use by feature."""
    found = await uow.subscription_usage.totals(subscription.id, START, END)
    return {feature: usage.quantity for feature, usage in found.items()}


async def test_an_invoice_comes_with_the_use_that_it_is_for(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A second delivery changes nothing; a later one the invoice alone."""
    subscription = subscribe(agentdb_make)
    first = await ingest_invoice(agentdb_uow, "sub_1", INVOICE, LINES)
    again = await ingest_invoice(agentdb_uow, "sub_1", INVOICE, LINES)
    paid = await ingest_invoice(agentdb_uow, "sub_1", replace(INVOICE, status="paid"), LINES)
    late = await ingest_invoice(agentdb_uow, "sub_1", INVOICE, LINES)

    assert first == (first.invoice, True, False)
    assert [again, paid, late] == [(first.invoice, False, False)] * 3
    assert first.invoice.subscription_id == subscription.id
    assert (first.invoice.status, first.invoice.amount_cents) == ("paid", 4200)
    assert first.invoice.hosted_invoice_url == "https://pay.example.com/in_1"
    assert await used(agentdb_uow, subscription) == {"messages": 12, "seats": 3}
    assert await agentdb_uow.subscription_usage.count() == 3


@pytest.mark.parametrize(("length", "dropped"), [(256, False), (257, True), (300, True)])
async def test_a_url_that_is_too_long_is_left_out(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, length: int, dropped: bool
) -> None:
    """The result says so; half a URL would lead nowhere."""
    subscribe(agentdb_make)
    url = "https://".ljust(length, "x")
    found = await ingest_invoice(agentdb_uow, "sub_1", replace(INVOICE, hosted_invoice_url=url))

    assert found.url_dropped == dropped
    assert found.invoice.hosted_invoice_url == (None if dropped else url)


async def test_two_invoices_of_one_period_are_both_stored(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A processor may send a correction."""
    subscribe(agentdb_make)
    for key in ("in_1", "in_2"):
        await ingest_invoice(agentdb_uow, "sub_1", replace(INVOICE, external_invoice_id=key))

    assert await agentdb_uow.subscription_invoices.count() == 2


async def test_a_refused_part_leaves_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Of the invoice, nor of its lines; a loaded one stays as it is stored."""
    subscription = subscribe(agentdb_make)
    stored, *_ = await ingest_invoice(agentdb_uow, "sub_1", INVOICE)
    wrong = [*LINES, replace(LINES[0], external_event_id="il_4", quantity=-1)]
    for invoice, lines in (
        (replace(INVOICE, amount_cents=1), wrong),
        (replace(INVOICE, amount_cents=1, currency="eur"), LINES),
    ):
        with pytest.raises(InvalidValueError):
            await ingest_invoice(agentdb_uow, "sub_1", invoice, lines)

    assert stored.amount_cents == 4200
    assert await used(agentdb_uow, subscription) == {}
    assert (await agentdb_uow.subscription_invoices.require(stored.id)).amount_cents == 4200


async def test_an_invoice_needs_its_subscription(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """One of the tenant; a system unit that names none finds it among all."""
    other = agentdb_make.tenant_account()
    agentdb_make.tenant_subscription(
        tenant_id=other.id, processor="stripe", processor_subscription_id="sub_1"
    )
    with pytest.raises(NotFoundError):
        await ingest_invoice(agentdb_uow, "sub_1", INVOICE)
    async with agentdb_database.begin_system(reason="webhook") as uow:
        with pytest.raises(NotFoundError):
            await ingest_invoice(uow, "sub_1", INVOICE, processor="fixture")
        found = await ingest_invoice(uow, "sub_1", INVOICE, LINES)
        assert found.created


@pytest.mark.agentdb_commits
async def test_eight_concurrent_deliveries_leave_one_invoice(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """And the use of each line once."""
    subscription = subscribe(agentdb_make)

    async def call(number: int) -> IngestedInvoice:
        async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
            lines = LINES if number % 2 else LINES[::-1]
            return await ingest_invoice(uow, "sub_1", INVOICE, lines, now=END + timedelta(1))

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(found.created for found in outcomes.results) == 1
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as uow:
        assert await uow.subscription_invoices.count() == 1
        assert await used(uow, subscription) == {"messages": 12, "seats": 3}
