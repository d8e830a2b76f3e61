"""What every maintenance verb promises."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from inspect import signature
from typing import Any

import pytest
from sqlalchemy import text

from agentdb import Database, maintenance
from agentdb.errors import InvalidValueError
from agentdb.maintenance.verbs import VERBS, Verb
from agentdb.models import Base
from agentdb.objects import MemoryObjectStore
from agentdb.testing import Factory
from tests.maintenance.due import DUE, LONG_AGO
from tests.maintenance.test_truncated import cut_conversation

NAMES = [
    "expire_invites",
    "expire_reservations",
    "expire_status_subscriptions",
    "expire_uploads",
    "expire_objects",
    "expire_vector_stores",
    "purge_sessions",
    "purge_tokens",
    "purge_recovery_codes",
    "purge_signup_requests",
    "purge_login_events",
    "purge_security_events",
    "purge_activity_events",
    "purge_run_events",
    "purge_stripe_events",
    "purge_queue_items",
    "purge_summaries",
    "purge_truncated",
    "purge_deleted",
    "recover_queue_items",
    "recover_dispatches",
    "fail_stale_runs",
    "apply_pending_plans",
    "roll_up_usage",
    "reconcile",
]
"""What hosts have scheduled: a verb that is renamed stops running there."""

every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
TABLES = [table.name for table in Base.metadata.sorted_tables]


def snapshot(make: Factory) -> list[str]:
    """Return all rows of all tables; PostgreSQL sends them in one go."""
    with make.transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            parts = [f"SELECT '{name}' || row::text FROM {name} AS row" for name in TABLES]
            return sorted(session.scalars(text(" UNION ALL ".join(parts))))
        return sorted(
            f"{name}{tuple(row)!r}"
            for name in TABLES
            for row in session.execute(text(f"SELECT * FROM {name}"))
        )


def make_due(make: Factory, url: str, verb: Verb) -> None:
    """Make rows that are due for a verb."""
    if verb.name in DUE:
        DUE[verb.name](make)
        return

    async def truncate() -> None:
        async with Database(url) as database:
            store = MemoryObjectStore()
            await cut_conversation(database, make.tenant.id, store, now=LONG_AGO)

    asyncio.run(truncate())


def run(url: str, verb: Verb, **options: Any) -> maintenance.Report:
    """Run a verb on a URL, and let it repair."""
    if verb.repairs:
        options.setdefault("repair", True)

    async def start() -> maintenance.Report:
        return await verb.run(url, **options)

    return asyncio.run(start())


def test_the_verbs_are_those_that_hosts_have_scheduled() -> None:
    """None is missing; rows that are due are known for each."""
    assert set(VERBS) == set(NAMES)
    assert set(VERBS) - set(DUE) == {"purge_truncated"}


def test_every_public_function_is_a_verb() -> None:
    """What is exported can be run by its name."""
    classes = {name for name in maintenance.__all__ if isinstance(getattr(maintenance, name), type)}

    assert set(maintenance.__all__) - classes == set(VERBS)
    assert all(verb.run is getattr(maintenance, name) for name, verb in VERBS.items())


@every_verb
def test_a_verb_explains_itself(verb: Verb) -> None:
    """In one sentence; all take the same options."""
    parameters = signature(verb.run).parameters

    assert verb.summary.endswith(".")
    assert next(iter(parameters)) == "db"
    assert list(parameters)[-1] == "options"
    assert (verb.older_than is None) == verb.repairs


@every_verb
@pytest.mark.agentdb_commits
@pytest.mark.parametrize("batch", [1000, 2])
def test_a_dry_run_counts_what_the_run_changes(
    agentdb_url: str, agentdb_make: Factory, verb: Verb, batch: int
) -> None:
    """From a URL alone; it changes nothing itself, and neither does a second run."""
    make_due(agentdb_make, agentdb_url, verb)
    before = snapshot(agentdb_make)
    dry = run(agentdb_url, verb, dry_run=True, batch=batch)
    unchanged = snapshot(agentdb_make)
    report = run(agentdb_url, verb, batch=batch)
    after = snapshot(agentdb_make)
    again = run(agentdb_url, verb, batch=batch)

    assert unchanged == before
    assert dry == report
    assert report.done
    assert sum(report.counts.values()) >= 3
    assert after != before
    assert set(again.counts.values()) == {0}
    assert again.counts.keys() == report.counts.keys()
    assert snapshot(agentdb_make) == after


@every_verb
@pytest.mark.agentdb_commits
def test_a_run_that_is_ended_early_goes_on_later(
    agentdb_url: str, agentdb_make: Factory, verb: Verb
) -> None:
    """What it does is counted before, and it ends where a run in one go does."""
    make_due(agentdb_make, agentdb_url, verb)
    whole = run(agentdb_url, verb, dry_run=True)
    limits: dict[str, Any] = {"batch": 1, "max_batches": 2}
    dry = run(agentdb_url, verb, dry_run=True, **limits)
    parts = [run(agentdb_url, verb, **limits)]
    rest = run(agentdb_url, verb)

    assert dry == parts[0]
    assert not dry.done
    assert {name: n + rest.counts[name] for name, n in dry.counts.items()} == whole.counts
    assert rest.done


@every_verb
@pytest.mark.agentdb_commits
def test_progress_is_told_after_each_batch(
    agentdb_url: str, agentdb_make: Factory, verb: Verb
) -> None:
    """With the counts so far, the last of which are the report's."""
    make_due(agentdb_make, agentdb_url, verb)
    told: list[dict[str, int]] = []
    report = run(agentdb_url, verb, batch=2, progress=told.append)

    assert told[-1] == report.counts
    assert len(told) > 1
    sums = [sum(counts.values()) for counts in told]
    assert sums == sorted(sums)


@every_verb
@pytest.mark.agentdb_commits
def test_a_run_for_one_tenant_changes_no_other(
    agentdb_url: str, agentdb_make: Factory, verb: Verb
) -> None:
    """Where tables belong to no tenant, it is refused; so is none of it done."""
    make_due(agentdb_make, agentdb_url, verb)
    stranger = agentdb_make.tenant_account().id
    before = snapshot(agentdb_make)

    if verb.takes_tenant:
        report = run(agentdb_url, verb, tenant_id=stranger)
        assert set(report.counts.values()) == {0}
    else:
        with pytest.raises(InvalidValueError, match="no tenant"):
            run(agentdb_url, verb, tenant_id=stranger)
    assert snapshot(agentdb_make) == before


BAD: list[dict[str, Any]] = [
    {"batch": 0},
    {"batch": -1},
    {"batch": 1.5},
    {"batch": True},
    {"max_batches": 0},
    {"max_batches": "1"},
    {"older_than": timedelta(microseconds=-1)},
    {"older_than": timedelta.max},
]


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        pytest.param(verb, options, id=f"{verb.name} {options}")
        for verb in VERBS.values()
        for options in BAD
        if verb.older_than is not None or "older_than" not in options
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_bad_options_are_refused(
    agentdb_url: str, verb: Verb, options: dict[str, Any], *, dry_run: bool
) -> None:
    """Before anything is changed, on a dry run too."""
    with pytest.raises(InvalidValueError):
        run(agentdb_url, verb, dry_run=dry_run, **options)
