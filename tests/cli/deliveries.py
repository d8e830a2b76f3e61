"""Events of Stripe in the database that a command works on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agentdb import Database, UnitOfWork
from agentdb.operations import ingest_stripe_event

T = TypeVar("T")

SECRET = "pi_secret_canary"
"""What Stripe sent, and no command prints unless it is told to."""


def in_unit(url: str, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """Do what a host does, in a system unit."""

    async def run() -> T:
        async with Database(url) as database:
            return await database.run(work, reason="test")

    return asyncio.run(run())


def deliver(url: str, event: str, *handlers: str, kind: str = "invoice.paid") -> None:
    """Take in an event with this id, with a payload that tells a secret."""

    async def work(uow: UnitOfWork) -> None:
        await ingest_stripe_event(uow, event, kind, {"client_secret": SECRET}, handlers)

    in_unit(url, work)


def attempt(url: str, *, max_attempts: int = 10, fails: bool = True) -> list[str]:
    """Work on all that is due, and return the names of the handlers."""

    async def work(uow: UnitOfWork) -> list[str]:
        taken = await uow.stripe_event_dispatch.claim(limit=100)
        for dispatch, _ in taken:
            fence = (dispatch.id, dispatch.attempts)
            if fails:
                await uow.stripe_event_dispatch.fail(*fence, "Timeout", max_attempts=max_attempts)
            else:
                await uow.stripe_event_dispatch.complete(*fence)
        return [dispatch.handler for dispatch, _ in taken]

    return in_unit(url, work)
