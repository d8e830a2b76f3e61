from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.models import SecurityEvent
from agentdb.errors import (
    InvalidTransitionError,
    InvalidValueError,
    LeaseLostError,
    NotFoundError,
    PermissionDeniedError,
)
from agentdb.stripe.models import StripeEvent
from agentdb.stripe.repository.dispatch import wait_after
from agentdb.testing import run_concurrently
from tests.plans import plans_of, sorts
from tests.stripe import payloads
from tests.stripe.test_events import deliver

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def taken_in(
    uow: UnitOfWork, count: int = 1, handlers: list[str] | None = None
) -> list[UUID]:
    """Take in events, a minute after each other, and return the ids of their work."""
    found: list[UUID] = []
    for number in range(count):
        event = payloads.event("invoice.paid", payloads.invoice(), number=number)
        taken = await deliver(uow, event, handlers or ["billing_sync"], now=NOON + number * MINUTE)
        found += [row.id for row in taken.dispatches]
    return found


async def event_of(uow: UnitOfWork, key: UUID) -> StripeEvent:
    """Return the event of some work."""
    work = await uow.stripe_event_dispatch.require(key)
    return await uow.stripe_events.require(work.stripe_event_id)


async def test_due_work_is_claimed_in_order(agentdb_database: Database) -> None:
    """What has no instant is due first, then the longest due; a claim holds for its lease."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        first, second, third, fourth = await taken_in(uow, 4)
        await dispatch.update(fourth, next_retry_at=None)
        taken = await dispatch.claim(limit=2, now=NOON + MINUTE)
        rest = await dispatch.claim(now=NOON + MINUTE)

        assert [work.id for work, _ in (*taken, *rest)] == [fourth, first, second]
        assert {(work.status, work.attempts) for work, _ in taken} == {("in_progress", 1)}
        assert {event.event_type for _, event in taken} == {"invoice.paid"}
        assert await dispatch.claim(now=NOON + MINUTE) == []
        again = await dispatch.claim(now=NOON + 7 * MINUTE)
        assert {(work.id, work.attempts) for work, _ in again} == {
            (fourth, 2),
            (first, 2),
            (second, 2),
            (third, 1),
        }


async def test_a_claim_can_be_for_one_handler(agentdb_database: Database) -> None:
    """Its worker sees nothing of the others."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await taken_in(uow, 2, ["billing_sync", "invoice_sync"])
        taken = await uow.stripe_event_dispatch.claim(handler="invoice_sync")

        assert {work.handler for work, _ in taken} == {"invoice_sync"}
        assert len(taken) == 2
        assert await uow.stripe_event_dispatch.claim(handler="other") == []


async def test_an_event_is_processed_with_its_last_handler(agentdb_database: Database) -> None:
    """Not before."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        keys = await taken_in(uow, 1, ["a", "b"])
        await dispatch.claim()
        event = await event_of(uow, keys[0])
        await dispatch.complete(keys[0], 1, now=NOON)
        assert (event.processing_outcome, event.processed_at) == ("received", None)
        done = await dispatch.complete(keys[1], 1, now=NOON + MINUTE)

        assert (done.status, done.next_retry_at) == ("completed", None)
        assert (event.processing_outcome, event.processed_at) == ("processed", NOON + MINUTE)
        assert event.processing_attempts == 2
        assert await dispatch.claim() == []


async def test_failures_are_tried_again_and_then_dead(agentdb_database: Database) -> None:
    """After a wait that doubles, up to the last attempt; the event tells the error."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        (key,) = await taken_in(uow)
        at, waits = NOON, list[float]()
        failed = await dispatch.require(key)
        for attempt in range(1, 11):
            ((work, event),) = await dispatch.claim(now=at)
            assert (work.attempts, work.id) == (attempt, key)
            failed = await dispatch.fail(key, attempt, f"error {attempt}", now=at)
            assert (event.processing_outcome, event.processed_at) == ("failed", None)
            assert event.processing_error == failed.last_error == f"error {attempt}"
            if failed.next_retry_at is not None:
                assert await dispatch.claim(now=failed.next_retry_at - MINUTE / 60) == []
                waits.append((failed.next_retry_at - at).total_seconds())
                at = failed.next_retry_at

        assert (failed.status, failed.next_retry_at) == ("dead", None)
        assert await dispatch.claim(now=at + timedelta(days=365)) == []
        expected = [min(30 * 2**n, 600) for n in range(9)]
        for wait, middle in zip(waits, expected, strict=True):
            assert 0.9 * middle <= wait <= 1.1 * middle


def test_waits_vary() -> None:
    """So that what failed together does not come again together."""
    assert len({wait_after(3) for _ in range(10)}) > 1


async def test_the_caller_may_choose_when_to_try_again(agentdb_database: Database) -> None:
    """As far as the provider says when; and how often."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        (key,) = await taken_in(uow)
        await dispatch.claim(now=NOON)
        failed = await dispatch.fail(key, 1, "limited", retry_at=NOON + MINUTE, now=NOON)
        assert failed.next_retry_at == NOON + MINUTE
        await dispatch.claim(now=NOON + MINUTE)
        assert (await dispatch.fail(key, 2, "limited", max_attempts=2)).status == "dead"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("unclaimed", "reclaimed"),
        ("reclaimed", "reclaimed"),
        ("completed", "finished"),
        ("failed", "finished"),
        ("missing", "missing"),
    ],
)
async def test_a_claim_that_has_ended_is_fenced_off(
    agentdb_database: Database, state: str, reason: str
) -> None:
    """Heartbeat, completion and failure write nothing, and the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        (key,) = await taken_in(uow)
        if state != "unclaimed":
            await dispatch.claim(now=NOON)
        if state == "reclaimed":
            await dispatch.claim(now=NOON + 9 * MINUTE)
        elif state == "completed":
            await dispatch.complete(key, 1)
        elif state == "failed":
            await dispatch.fail(key, 1, "error", now=NOON)
        asked = uuid4() if state == "missing" else key
        before = (await event_of(uow, key)).processing_attempts
        attempt = 0 if state == "unclaimed" else 1
        calls: list[Any] = [
            dispatch.heartbeat(asked, attempt),
            dispatch.complete(asked, attempt),
            dispatch.fail(asked, attempt, "late"),
        ]
        for call in calls:
            with pytest.raises(LeaseLostError) as caught:
                await call
            assert caught.value.reason == reason

        row = await dispatch.require(key)
        assert row.last_error != "late"
        assert before == (await event_of(uow, key)).processing_attempts


async def test_a_heartbeat_keeps_the_claim(agentdb_database: Database) -> None:
    """It is not due before the renewed lease ends, and then it is."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        (key,) = await taken_in(uow)
        await dispatch.claim(now=NOON, lease=5 * MINUTE)
        await dispatch.heartbeat(key, 1, now=NOON + 4 * MINUTE, lease=5 * MINUTE)

        assert await dispatch.claim(now=NOON + 8 * MINUTE) == []
        assert len(await dispatch.claim(now=NOON + 9 * MINUTE)) == 1


async def test_work_can_be_reset(agentdb_database: Database) -> None:
    """Failed and dead work is due at once, completed work only by force; attempts stay counted."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        (key,) = await taken_in(uow)
        assert (await dispatch.reset(key)).status == "pending"
        await dispatch.claim(now=NOON)
        with pytest.raises(InvalidTransitionError):
            await dispatch.reset(key, force=True)
        await dispatch.fail(key, 1, "error", max_attempts=1)
        row = await dispatch.reset(key, now=NOON)
        event = await event_of(uow, key)
        assert (row.status, row.attempts, row.next_retry_at) == ("pending", 1, NOON)
        assert (event.processing_outcome, event.processing_error) == ("received", None)
        await dispatch.claim(now=NOON)
        await dispatch.complete(key, 2)
        with pytest.raises(InvalidTransitionError):
            await dispatch.reset(key)
        await dispatch.reset(key, force=True, now=NOON)
        assert (event.processing_outcome, event.processed_at) == ("received", None)
        ((work, _),) = await dispatch.claim(now=NOON)
        assert work.attempts == 3
        with pytest.raises(NotFoundError):
            await dispatch.reset(uuid4())


async def test_work_is_found_with_its_events(agentdb_database: Database) -> None:
    """The newest first, page by page."""
    async with agentdb_database.begin_system(reason="test") as uow:
        dispatch = uow.stripe_event_dispatch
        keys = await taken_in(uow, 3, ["a"])
        await dispatch.claim(limit=1, now=NOON)
        page = await dispatch.search(handler="a", status="pending", limit=1)
        rest = await dispatch.search(handler="a", status="pending", after=page.next_cursor)

        assert [work.id for work, _ in (*page, *rest)] == [keys[2], keys[1]]
        assert all(work.stripe_event_id == event.id for work, event in (*page, *rest))
        assert not (await dispatch.search(handler="b")).items


async def test_bad_arguments_are_refused(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """Before anything is claimed; a tenant's unit claims nothing."""
    async with agentdb_database.begin_system(reason="test") as uow:
        wrong: list[dict[str, Any]] = [
            {"limit": 0},
            {"limit": 501},
            {"lease": timedelta(0)},
            {"max_attempts": 0},
        ]
        for options in wrong:
            with pytest.raises(InvalidValueError):
                await uow.stripe_event_dispatch.claim(**options)
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.stripe_event_dispatch.claim()


@pytest.mark.agentdb_plans
async def test_a_claim_follows_the_index_of_due_work(agentdb_database: Database) -> None:
    """It sorts nothing and reads no table from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await taken_in(uow, 5)
        plans = await plans_of(uow, uow.stripe_event_dispatch.claim(limit=2))

    at_once, timed, *_ = plans
    for plan in (at_once, timed):
        plan.assert_uses_index("ix_stripe_event_dispatch_due")
        assert not sorts(plan)
    for plan in plans:
        plan.assert_scans_nothing()


@pytest.mark.agentdb_commits
async def test_work_goes_to_one_worker(agentdb_database: Database) -> None:
    """Of eight claimers at once, each gets other work, and all work is claimed."""
    async with agentdb_database.begin_system(reason="test") as uow:
        keys = await taken_in(uow, 12)

    async def claim(_: int) -> list[UUID]:
        async with agentdb_database.begin_system(reason="test") as uow:
            return [work.id for work, _ in await uow.stripe_event_dispatch.claim(limit=2)]

    outcomes = await run_concurrently(8, claim, database=agentdb_database)
    left = await claim(0)
    while more := await claim(0):
        left += more

    assert outcomes.errors == []
    assert sorted([*left, *(key for found in outcomes.results for key in found)]) == sorted(keys)


@pytest.mark.agentdb_commits
async def test_each_effect_happens_once(agentdb_database: Database) -> None:
    """Events delivered twenty times, out of order, among workers that stop half-way: one effect."""
    events = [
        payloads.event("invoice.paid", payloads.invoice(), number=number) for number in range(4)
    ]
    handlers = ["a", "b", "c"]

    async def deliver_all(number: int) -> None:
        for step in range(5):
            async with agentdb_database.begin_system(reason="test") as uow:
                await deliver(uow, events[(number + step * 3) % 4], handlers)

    async def work(number: int) -> None:
        for _ in range(6):
            async with agentdb_database.begin_system(reason="test") as uow:
                taken = await uow.stripe_event_dispatch.claim(limit=3, lease=timedelta(seconds=0.2))
            if number == 0:
                continue  # killed between the claim and the completion
            for dispatch, event in taken:
                await effect(agentdb_database, dispatch.id, dispatch.attempts, event)

    async def call(number: int) -> None:
        await (deliver_all(number) if number < 8 else work(number - 8))

    outcomes = await run_concurrently(12, call, database=agentdb_database)
    assert outcomes.errors == []
    async with asyncio.timeout(60):
        while not await processed(agentdb_database, len(events)):
            await work(1)

    async with agentdb_database.read(reason="test") as uow:
        seen = [row.request_id for row in await uow.security_events.all()]
    assert sorted(map(str, seen)) == sorted(
        f"{event['id']}-{handler}" for event in events for handler in handlers
    )


async def effect(database: Database, key: UUID, attempt: int, event: StripeEvent) -> None:
    """Do what a handler does, and complete its work, both or neither."""
    try:
        async with database.begin_system(reason="test") as uow:
            work = await uow.stripe_event_dispatch.require(key)
            note = SecurityEvent(
                event_type="test", request_id=f"{event.stripe_event_id}-{work.handler}"
            )
            await uow.security_events.add(note)
            await uow.stripe_event_dispatch.complete(key, attempt)
    except LeaseLostError:
        return


async def processed(database: Database, count: int) -> bool:
    """Whether so many events are processed."""
    async with database.read(reason="test") as uow:
        return len((await uow.stripe_events.search(outcome="processed")).items) == count
