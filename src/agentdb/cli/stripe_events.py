"""Reading, resetting and printing Stripe's events for the command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeVar

import click

from agentdb.cli.databases import opened
from agentdb.cli.failures import Failure
from agentdb.cli.output import print_json, print_sections, print_table, tell
from agentdb.models import StripeEvent, StripeEventDispatch
from agentdb.paging import Page
from agentdb.stripe.rows import Delivery
from agentdb.stripe.values import StripeDispatchStatus
from agentdb.unit_of_work import UnitOfWork

T = TypeVar("T")
Task: TypeAlias = Callable[[UnitOfWork], Awaitable[T]]

MAX_PAGE = 500
REASON = "agentdb stripe"


class Found(NamedTuple):
    """An event, and the work of all its handlers, by their names."""

    event: StripeEvent
    work: Sequence[StripeEventDispatch]


class Replayed(NamedTuple):
    """The work on an event: what is due now, and what stayed as it was."""

    due: Sequence[StripeEventDispatch]
    left: Sequence[StripeEventDispatch]


async def reading(url: str, schema: str | None, task: Task[T]) -> T:
    """Run a task in a unit that reads."""
    async with opened(url, schema) as database, database.read(reason=REASON) as uow:
        return await task(uow)


async def writing(url: str, schema: str | None, task: Task[T]) -> T:
    """Run a task in a unit, once more where another transaction was in the way."""
    async with opened(url, schema) as database:
        return await database.run(task, reason=REASON)


def list_events(
    *, outcome: str | None, event_type: str | None, limit: int
) -> Task[list[StripeEvent]]:
    """Return the task that finds events, those received last first."""

    async def task(uow: UnitOfWork) -> list[StripeEvent]:
        async def page(after: str | None, size: int) -> Page[StripeEvent]:
            return await uow.stripe_events.search(
                outcome=outcome, event_type=event_type, after=after, limit=size
            )

        return [row async for row in _first(page, limit)]

    return task


def list_dead(*, handler: str | None, limit: int) -> Task[list[Delivery]]:
    """Return the task that finds dead work, the newest first."""

    async def task(uow: UnitOfWork) -> list[Delivery]:
        async def page(after: str | None, size: int) -> Page[Delivery]:
            return await uow.stripe_event_dispatch.search(
                handler=handler, status=StripeDispatchStatus.DEAD, after=after, limit=size
            )

        return [row async for row in _first(page, limit)]

    return task


def find_event(stripe_event_id: str) -> Task[Found]:
    """Return the task that finds an event and its work.

    Raises:
        ClickException: The task found none.
    """

    async def task(uow: UnitOfWork) -> Found:
        event = await uow.stripe_events.by_stripe_event_id(stripe_event_id)
        if event is None:
            raise click.ClickException(f"there is no event {stripe_event_id!r}")
        mine = StripeEventDispatch.stripe_event_id == event.id
        return Found(
            event, await uow.stripe_event_dispatch.all(mine, order=[StripeEventDispatch.handler])
        )

    return task


def reset(stripe_event_id: str, *, handler: str | None, force: bool) -> Task[Replayed]:
    """Return the task that makes failed and dead work due; with *force* completed work too.

    Raises:
        ClickException: The task found no such event, or no such handler.
    """
    ended = {StripeDispatchStatus.FAILED, StripeDispatchStatus.DEAD}
    if force:
        ended.add(StripeDispatchStatus.COMPLETED)

    async def task(uow: UnitOfWork) -> Replayed:
        _, work = await find_event(stripe_event_id)(uow)
        chosen = [row for row in work if handler in {None, row.handler}]
        if handler is not None and not chosen:
            raise click.ClickException(f"the event has no handler {handler!r}")
        due = [row for row in chosen if row.status in ended]
        left = [row for row in chosen if row.status not in ended]
        again = [await uow.stripe_event_dispatch.reset(row.id, force=force) for row in due]
        return Replayed(again, left)

    return task


async def _first(
    page: Callable[[str | None, int], Awaitable[Page[T]]], limit: int
) -> AsyncIterator[T]:
    """Yield so many rows, page by page."""
    after: str | None = None
    left = limit
    while True:
        found = await page(after, min(left, MAX_PAGE))
        for row in found.items:
            yield row
        after, left = found.next_cursor, left - len(found.items)
        if after is None or left == 0:
            return


def show_events(events: Sequence[StripeEvent], *, as_json: bool) -> None:
    """Print events without what Stripe sent."""
    found = [_event(event) for event in events]
    if as_json:
        print_json({"events": found})
        return
    keys = ("event", "type", "outcome", "attempts", "received_at", "error")
    print_table(keys, [[row[key] for key in keys] for row in found])


def show_event(found: Found, *, payload: bool, as_json: bool) -> None:
    """Print an event and its work."""
    event, work = _event(found.event), [_work(row) for row in found.work]
    if as_json:
        if payload:
            event["payload"] = found.event.payload
        print_json({"event": event, "work": work})
        return
    print_sections(
        ("event", ("what", "value"), list(event.items())),
        ("work", WORK, [[row[key] for key in WORK] for row in work]),
    )
    if payload:
        print_json(found.event.payload)


def show_work(deliveries: Sequence[Delivery], *, as_json: bool) -> None:
    """Print work with the events that it is on."""
    found = [
        {"event": event.stripe_event_id, "type": event.event_type, **_work(row)}
        for row, event in deliveries
    ]
    if as_json:
        print_json({"work": found})
        return
    keys = ("event", "type", *WORK)
    print_table(keys, [[row[key] for key in keys] for row in found])


def show_replayed(replayed: Replayed, *, as_json: bool) -> None:
    """Print the work that is due now; what stayed as it was goes to stderr.

    Raises:
        Failure: Nothing is due, and nothing was before.
    """
    due = [_work(row) for row in replayed.due]
    if as_json:
        print_json({"due": due, "left": [_work(row) for row in replayed.left]})
    else:
        print_table(WORK, [[row[key] for key in WORK] for row in due])
        for row in replayed.left:
            tell(f"{row.handler}: {row.status}, left as it is")
    if not due and not any(row.status == StripeDispatchStatus.PENDING for row in replayed.left):
        raise Failure("there is nothing to replay")


WORK = ("handler", "status", "attempts", "last_attempt_at", "next_retry_at", "error")
"""What is told of the work of a handler."""


def _event(event: StripeEvent) -> dict[str, object]:
    return {
        "event": event.stripe_event_id,
        "type": event.event_type,
        "outcome": event.processing_outcome,
        "attempts": event.processing_attempts,
        "tenant_hint": event.tenant_hint,
        "created_at": _instant(event.stripe_created_at),
        "received_at": _instant(event.received_at),
        "processed_at": _instant(event.processed_at),
        "error": event.processing_error,
    }


def _work(work: StripeEventDispatch) -> dict[str, object]:
    return {
        "handler": work.handler,
        "status": work.status,
        "attempts": work.attempts,
        "last_attempt_at": _instant(work.last_attempt_at),
        "next_retry_at": _instant(work.next_retry_at),
        "error": work.last_error,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
