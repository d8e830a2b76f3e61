from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, PermissionDeniedError
from agentdb.operations import ingest_stripe_event
from agentdb.stripe.rows import Ingested
from agentdb.testing import run_concurrently
from agentdb.types import JsonObject
from tests.stripe import payloads

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HANDLERS = ["invoice_sync", "billing_sync"]


async def deliver(
    uow: UnitOfWork, event: JsonObject, handlers: list[str] | None = None, **options: Any
) -> Ingested:
    """Take in an event, as a host does."""
    return await ingest_stripe_event(
        uow,
        event["id"],
        event["type"],
        event,
        HANDLERS if handlers is None else handlers,
        stripe_created_at=datetime.fromtimestamp(event["created"], UTC),
        **options,
    )


@pytest.mark.parametrize("event", payloads.ALL, ids=lambda event: event["type"])
async def test_an_event_is_stored_with_the_work_of_its_handlers(
    agentdb_database: Database, event: JsonObject
) -> None:
    """As Stripe sent it; the work is due at once."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await deliver(uow, event, tenant_hint="acme", now=NOON)
    async with agentdb_database.read(reason="test") as uow:
        found = await uow.stripe_events.by_stripe_event_id(event["id"])
        assert found is not None
        work = await uow.stripe_event_dispatch.all()

    assert (found.payload, found.event_type) == (event, event["type"])
    assert (found.stripe_created_at, found.received_at) == (NOON, NOON)
    assert (found.processing_outcome, found.processed_at) == ("received", None)
    assert {(row.handler, row.status, row.next_retry_at) for row in work} == {
        ("billing_sync", "pending", NOON),
        ("invoice_sync", "pending", NOON),
    }


async def test_a_repeated_delivery_adds_what_is_missing_and_resets_nothing(
    agentdb_database: Database,
) -> None:
    """A handler that is new in a release gets its work; the first payload stays."""
    event = payloads.ALL[0]
    async with agentdb_database.begin_system(reason="test") as uow:
        first = await deliver(uow, event, ["billing_sync"])
        ((work, _),) = await uow.stripe_event_dispatch.claim()
        await uow.stripe_event_dispatch.complete(work.id, 1)
        assert first.event.processing_outcome == "processed"
        again = await deliver(uow, {**event, "livemode": True})

    assert (first.created, again.created) == (True, False)
    assert again.event.payload["livemode"] is False
    assert [(row.handler, row.status) for row in again.dispatches] == [
        ("billing_sync", "completed"),
        ("invoice_sync", "pending"),
    ]
    assert (again.event.processing_outcome, again.event.processed_at) == ("received", None)


async def test_an_event_that_nobody_handles_is_processed(agentdb_database: Database) -> None:
    """So that it is purged one day."""
    async with agentdb_database.begin_system(reason="test") as uow:
        taken = await deliver(uow, payloads.ALL[0], [], now=NOON)
        again = await deliver(uow, payloads.ALL[0], [], now=NOON + timedelta(days=1))

    assert taken.dispatches == again.dispatches == []
    assert (again.event.processing_outcome, again.event.processed_at) == ("processed", NOON)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x" * 65},
        {"type": "x" * 129},
        {"nan": float("nan")},
        {"text": "a\x00b"},
    ],
    ids=str,
)
async def test_bad_values_are_refused_and_the_unit_goes_on(
    agentdb_database: Database, changes: dict[str, Any]
) -> None:
    """Nothing is stored of them."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await deliver(uow, {**payloads.ALL[0], **changes})
        with pytest.raises(InvalidValueError):
            await deliver(uow, payloads.ALL[0], ["x" * 65])
        with pytest.raises(InvalidValueError):
            await ingest_stripe_event(uow, "evt_1", "a.b", {}, "billing_sync")
        assert await uow.stripe_events.count() == await uow.stripe_event_dispatch.count() == 0


async def test_a_tenants_unit_takes_nothing_in(agentdb_uow: UnitOfWork) -> None:
    """The events belong to no tenant."""
    with pytest.raises(PermissionDeniedError):
        await deliver(agentdb_uow, payloads.ALL[0])


async def test_events_are_found(agentdb_database: Database) -> None:
    """Those received last first, by what they are; the processed ones in their own order."""
    async with agentdb_database.begin_system(reason="test") as uow:
        for number, event in enumerate(payloads.ALL):
            await deliver(
                uow,
                event,
                [] if number % 2 else ["billing_sync"],
                tenant_hint="acme" if number < 4 else None,
                now=NOON + timedelta(minutes=number),
            )
        events = uow.stripe_events
        newest = [row.stripe_event_id for row in await events.search()]
        processed = [row.stripe_event_id for row in await events.processed()]
        page = await events.search(outcome="received", tenant_hint="acme", limit=1)
        rest = await events.search(
            outcome="received", tenant_hint="acme", after=page.next_cursor, limit=1
        )
        paid = await events.search(event_type="invoice.paid")

    ids = [event["id"] for event in payloads.ALL]
    assert newest == ids[::-1]
    assert processed == ids[1::2]
    assert [row.stripe_event_id for row in (*page, *rest)] == [ids[2], ids[0]]
    assert rest.next_cursor is None
    assert [row.stripe_event_id for row in paid] == [ids[5]]


@pytest.mark.agentdb_commits
async def test_concurrent_deliveries_leave_one_event(agentdb_database: Database) -> None:
    """Twenty at once, in any order, each with its own handlers: none fails."""
    names = ["a", "b", "c"]

    async def call(number: int) -> tuple[UUID, bool]:
        handlers = names[number % 3 :] + names[: number % 3]
        async with agentdb_database.begin_system(reason="test") as uow:
            taken = await deliver(uow, payloads.ALL[0], handlers[: 1 + number % 3])
            return taken.event.id, taken.created

    outcomes = await run_concurrently(20, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len({key for key, _ in outcomes.results}) == 1
    assert sum(created for _, created in outcomes.results) == 1
    async with agentdb_database.read(reason="test") as uow:
        work = await uow.stripe_event_dispatch.all()
        assert sorted(row.handler for row in work) == names
