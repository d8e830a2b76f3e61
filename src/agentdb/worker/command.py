"""What the command ``agentdb worker`` does."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import math
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import click

from agentdb.database import Database
from agentdb.settings import Settings
from agentdb.worker.pool import Handler, Worker
from agentdb.worker.terms import Terms

SPARE = 4
"""Connections beside one for each slot: for looking, and for leases while all slots write."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to work on, and how.

    Attributes:
        url: The database.
        platform_url: The role that runs units of the system; None where one does everything.
        schema: Schema that holds the tables.
        handler: Works on a run.
        slots: Runs at a time.
        drain: Seconds that runs may go on after a signal.
    """

    url: str
    platform_url: str | None
    schema: str | None
    handler: Handler
    slots: int
    drain: float


def terms(*, lease: float, max_attempts: int, poll: float) -> Terms:
    """Return the terms that the options tell."""
    return Terms(lease=timedelta(seconds=lease), max_attempts=max_attempts, poll=poll)


def load(name: str) -> Handler:
    """Return the coroutine function that MODULE:FUNCTION names.

    Raises:
        UsageError: There is no such module or function, or it is none. A module that fails while it
            is imported raises what it raises.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise click.UsageError(f"expects MODULE:FUNCTION, not {name!r}")
    if "" not in sys.path:
        # As `python -m` does; the script of the command has its own folder there instead.
        sys.path.insert(0, "")
    found = _imported(module)
    for part in function.split("."):
        found = getattr(found, part, None)
    called = found if inspect.isroutine(found) else getattr(found, "__call__", None)  # noqa: B004 -- to look at it
    if not inspect.iscoroutinefunction(called):
        raise click.UsageError(f"{module} has no coroutine function {function}")
    return cast("Handler", found)


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses another
        raise click.UsageError(f"there is no module {module}") from None


def work(job: Job, agreed: Terms, tell: Tell) -> bool:
    """Work until a signal comes; return whether all runs have ended by themselves."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return asyncio.run(_work(job, agreed, tell))


def settings_for(slots: int, agreed: Terms) -> Settings:
    """Return the settings of a worker's database.

    A process that stands still in the middle of a unit keeps the row of its run locked, which so
    nobody takes over: the server ends that unit when the lease is over.
    """
    idle = min(agreed.lease.total_seconds(), Settings().idle_timeout or math.inf)
    return Settings(pool_size=slots + SPARE, notify=True, idle_timeout=idle)


async def _work(job: Job, agreed: Terms, tell: Tell) -> bool:
    settings = settings_for(job.slots, agreed)
    database = Database(
        job.url, platform_url=job.platform_url, schema=job.schema, settings=settings
    )
    async with database:
        await database.require_current()
        worker = Worker(database, job.handler, slots=job.slots, terms=agreed, drain=job.drain)
        working = asyncio.ensure_future(worker.run())
        with _signals(worker, working, tell):
            tell(f"working with {job.slots} slots")
            try:
                drained = await working
            except asyncio.CancelledError:
                drained = False
        tell("done" if drained else "gave up waiting for runs: they are ready again")
        return drained


@contextmanager
def _signals(worker: Worker, working: asyncio.Future[bool], tell: Tell) -> Generator[None]:
    """Stop the worker at the first signal, and cancel it at the second."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def stop() -> None:
        seen.append(1)
        if len(seen) > 1:
            working.cancel()
            return
        tell(f"stopping: {worker.running} running")
        worker.stop()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
