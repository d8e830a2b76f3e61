"""Running maintenance verbs for the command, and telling of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from agentdb.cli.databases import opened
from agentdb.cli.failures import Failure
from agentdb.cli.output import print_json, print_table, tell
from agentdb.cli.tenants import find_tenant
from agentdb.database import Database
from agentdb.errors import AgentDBError, SchemaVersionError, UnavailableError
from agentdb.maintenance import Report
from agentdb.maintenance.verbs import VERBS, Verb

EVERY = 1.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, and how; what is None is left to the verbs."""

    verbs: Sequence[Verb]
    older_than: timedelta | None
    tenant: str | None
    batch: int
    max_batches: int | None
    dry_run: bool
    repair: bool

    def __post_init__(self) -> None:
        """Refuse options that no verb of the order knows.

        Raises:
            UsageError: There is one.
        """
        if self.repair and not any(verb.repairs for verb in self.verbs):
            raise click.UsageError("--repair is for reconcile")
        if self.older_than is not None and all(verb.older_than is None for verb in self.verbs):
            raise click.UsageError("--older-than: the verb knows no age")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a verb: a report, or why it failed."""

    verb: str
    report: Report | None
    error: AgentDBError | None = None

    def rows(self) -> list[tuple[object, ...]]:
        """Return rows of a table."""
        if self.report is None:
            return [(self.verb, None, None, f"failed: {self.error}")]
        state = "done" if self.report.done else "more left"
        return [(self.verb, name, count, state) for name, count in self.report.counts.items()]

    def document(self) -> dict[str, object]:
        """Return what JSON tells."""
        report = self.report
        return {
            "verb": self.verb,
            "counts": {} if report is None else dict(report.counts),
            "done": report is not None and report.done,
            "error": None if self.error is None else str(self.error),
        }


def chosen(names: Sequence[str], *, every: bool, for_tenant: bool) -> list[Verb]:
    """Return the verbs to run, each once.

    Raises:
        UsageError: There is no verb of a name, or both names and all were asked for.
    """
    if names and every:
        raise click.UsageError("--all runs all verbs: name none")
    if every:
        return [verb for verb in VERBS.values() if verb.takes_tenant or not for_tenant]
    unknown = [name for name in names if name not in VERBS]
    if unknown:
        raise click.UsageError(f"there is no verb {unknown[0]!r}: see agentdb maintain --list")
    return [VERBS[name] for name in dict.fromkeys(names)]


def list_verbs(*, as_json: bool) -> None:
    """Print the verbs, with the ages that they take by themselves."""
    found = [(verb.name, age_text(verb.older_than), verb.summary) for verb in VERBS.values()]
    if as_json:
        keys = ("verb", "older_than", "summary")
        print_json({"verbs": [dict(zip(keys, row, strict=True)) for row in found]})
    else:
        print_table(("verb", "older than", "what it does"), found)


def age_text(age: timedelta | None) -> str | None:
    """Return an age as the command takes it."""
    if age is None:
        return None
    seconds = int(age.total_seconds())
    units = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    size, unit = next(u for u in units if seconds % u[0] == 0 and (seconds or u[0] == 1))
    return f"{seconds // size}{unit}"


def maintain(url: str, schema: str | None, order: Order, *, as_json: bool) -> None:
    """Run the verbs, and print what became of them.

    Raises:
        Failure: A verb failed; the others have run.
        AgentDBError: The database cannot serve any of them.
    """
    outcomes: list[Outcome] = []
    try:
        asyncio.run(_run(url, schema, order, outcomes))
    finally:
        if outcomes:
            _show(outcomes, dry_run=order.dry_run, as_json=as_json)
    failed = [outcome.verb for outcome in outcomes if outcome.report is None]
    if failed:
        raise Failure(f"failed: {', '.join(failed)}")


def _show(outcomes: Sequence[Outcome], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        reports = [outcome.document() for outcome in outcomes]
        print_json({"dry_run": dry_run, "reports": reports})
        return
    rows = [row for outcome in outcomes for row in outcome.rows()]
    print_table(("verb", "outcome", "rows", "state"), rows)


async def _run(url: str, schema: str | None, order: Order, outcomes: list[Outcome]) -> None:
    async with opened(url, schema) as database:
        options = await _options(database, order)
        for verb in order.verbs:
            # One by one: those that ran are told of where the next one raises.
            outcome = await _outcome(database, verb, order, options)
            outcomes.append(outcome)


async def _options(database: Database, order: Order) -> dict[str, Any]:
    tenant = None
    if order.tenant is not None:
        async with database.read(reason="maintain") as uow:
            tenant = await find_tenant(uow, order.tenant)
    return {
        "tenant_id": tenant,
        "batch": order.batch,
        "max_batches": order.max_batches,
        "dry_run": order.dry_run,
    }


async def _outcome(
    database: Database, verb: Verb, order: Order, options: Mapping[str, Any]
) -> Outcome:
    own: dict[str, Any] = {"progress": Progress(verb.name)}
    if order.older_than is not None and verb.older_than is not None:
        own["older_than"] = order.older_than
    if verb.repairs:
        own["repair"] = order.repair
    try:
        return Outcome(verb.name, await verb.run(database, **options, **own))
    except (SchemaVersionError, UnavailableError):
        raise  # the others would meet the same
    except AgentDBError as error:
        return Outcome(verb.name, None, error)


class Progress:
    """Tells how far a verb has come, every second at the most."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._told = clock()

    def __call__(self, counts: Mapping[str, int]) -> None:
        """Take the counts so far."""
        if self._clock() - self._told < EVERY:
            return
        self._told = self._clock()
        found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        tell(f"{self._name}: {found or 'looking'}")
