"""Maintenance from the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import insert

from agentdb import Database, checks
from agentdb.cli.failures import ExitCode
from agentdb.cli.maintain import LONGEST
from agentdb.cli.upkeep import EVERY, Progress, age_text
from agentdb.maintenance.verbs import VERBS
from agentdb.models import UserLoginEvent
from agentdb.tenancy.predicates import table_of
from agentdb.testing import Factory
from agentdb.types import utc_now, uuid_pk
from tests.cli.command import agentdb, document, rows, sentence

pytestmark = pytest.mark.agentdb_commits

DAY = timedelta(days=1)
YEAR = 365 * DAY


def log_in(make: Factory, *ages: timedelta) -> None:
    """Record attempts to log in that were so long ago."""
    for age in ages:
        make.user_login_event(created_at=utc_now() - age)


def attempts_left(url: str) -> int:
    """Count the recorded attempts to log in."""

    async def count() -> int:
        async with Database(url) as database, database.read(reason="test") as uow:
            return await uow.user_login_events.count()

    return asyncio.run(count())


def test_without_a_verb_the_verbs_are_listed() -> None:
    """With their ages, for which no database is needed; so they are where it is asked for."""
    plain = rows(agentdb("maintain"))
    found = document(agentdb("maintain", "purge_sessions", "--list", "--json"))

    assert [row[0] for row in plain] == list(VERBS)
    assert [row[:2] for row in plain if row[0] == "purge_run_events"] == [
        ["purge_run_events", "90d"]
    ]
    assert {verb["verb"]: verb["older_than"] for verb in found["verbs"]}["reconcile"] is None
    assert all(row[2].endswith(".") for row in plain)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_run_by_its_name(agentdb_url: str, verb: str) -> None:
    """It finds nothing in an empty database, dry or not."""
    for options in (["--dry-run"], []):
        found = rows(agentdb("maintain", verb, *options, url=agentdb_url))
        assert {row[0] for row in found} == {verb}
        assert {(row[2], row[3]) for row in found} == {("0", "done")}


def test_all_verbs_run_at_once(agentdb_url: str) -> None:
    """Each is reported once, in the order of the list."""
    found = document(agentdb("maintain", "--all", "--json", url=agentdb_url))

    assert [report["verb"] for report in found["reports"]] == list(VERBS)
    assert all(report["done"] for report in found["reports"])
    assert not any(report["error"] for report in found["reports"])


def test_what_is_due_is_changed_and_told(agentdb_url: str, agentdb_make: Factory) -> None:
    """A dry run tells the same before; afterwards there is nothing to do."""
    log_in(agentdb_make, YEAR, YEAR, DAY)
    call = ("maintain", "purge_login_events", "purge_summaries")

    dry = agentdb(*call, "--dry-run", url=agentdb_url)
    assert attempts_left(agentdb_url) == 3
    done = agentdb(*call, url=agentdb_url)
    again = agentdb(*call, url=agentdb_url)

    assert rows(dry) == rows(done)
    assert rows(done)[0] == ["purge_login_events", "deleted", "2", "done"]
    assert rows(again)[0] == ["purge_login_events", "deleted", "0", "done"]
    assert attempts_left(agentdb_url) == 1


@pytest.mark.parametrize(("age", "left"), [("0s", 0), ("13h", 1), ("2d", 2), ("90m", 1), ("9d", 3)])
def test_an_age_is_given(agentdb_url: str, agentdb_make: Factory, age: str, left: int) -> None:
    """In days, hours, minutes or seconds, in place of the verb's own."""
    log_in(agentdb_make, timedelta(hours=1), timedelta(hours=36), 3 * DAY)

    agentdb("maintain", "purge_login_events", "--older-than", age, url=agentdb_url)

    assert attempts_left(agentdb_url) == left


def test_an_age_for_all_leaves_out_what_knows_none(agentdb_url: str, agentdb_make: Factory) -> None:
    """`reconcile` runs as ever."""
    log_in(agentdb_make, 2 * DAY)

    result = agentdb("maintain", "--all", "--older-than", "1d", url=agentdb_url)

    assert result.exit_code == ExitCode.DONE
    assert ["purge_login_events", "deleted", "1", "done"] in rows(result)
    assert any(row[0] == "reconcile" for row in rows(result))


def test_batches_are_limited(agentdb_url: str, agentdb_make: Factory) -> None:
    """What is left is told, and is no failure: the next run takes it."""
    log_in(agentdb_make, *[YEAR] * 5)
    call = ("maintain", "purge_login_events", "--batch", "2", "--max-batches", "2")

    first = agentdb(*call, url=agentdb_url)
    second = agentdb(*call, url=agentdb_url)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert rows(first) == [["purge_login_events", "deleted", "4", "more left"]]
    assert rows(second) == [["purge_login_events", "deleted", "1", "done"]]


def test_one_tenant_is_kept_tidy(agentdb_url: str, agentdb_make: Factory) -> None:
    """The rows of others stay, and verbs of tables without tenants are left out of all."""
    log_in(agentdb_make, YEAR)
    other = agentdb_make.tenant_account()
    agentdb_make.user_login_event(tenant_id=other.id, created_at=utc_now() - YEAR)

    result = agentdb("maintain", "--all", "--tenant", other.slug, url=agentdb_url)

    assert result.exit_code == ExitCode.DONE
    assert ["purge_login_events", "deleted", "1", "done"] in rows(result)
    ran = dict.fromkeys(row[0] for row in rows(result))
    assert list(ran) == [name for name, verb in VERBS.items() if verb.takes_tenant]
    assert attempts_left(agentdb_url) == 1


def test_reconcile_repairs_on_request_alone(agentdb_url: str, agentdb_make: Factory) -> None:
    """Else it reports."""
    for _ in range(2):
        agentdb_make.storage_bucket(is_default=True)
    wrong = ["reconcile", "default_buckets", "1", "done"]

    for options in ([], [], ["--repair"]):
        assert wrong in rows(agentdb("maintain", "reconcile", *options, url=agentdb_url))
    assert wrong not in rows(agentdb("maintain", "reconcile", url=agentdb_url))


def test_a_verb_that_fails_keeps_no_other_from_running(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """It is told why, and the exit code says that something failed."""
    log_in(agentdb_make, YEAR)
    slug = agentdb_make.tenant.slug
    call = ("maintain", "expire_invites", "purge_login_events", "--tenant", slug)

    result = agentdb(*call, url=agentdb_url)
    report = document(agentdb(*call, "--json", url=agentdb_url), ExitCode.FAILED)["reports"][0]

    assert result.exit_code == ExitCode.FAILED
    assert result.stderr == "Error: failed: expire_invites\n"
    assert rows(result)[0][:3] == ["expire_invites", "", ""]
    assert rows(result)[1] == ["purge_login_events", "deleted", "1", "done"]
    assert (report["verb"], report["done"], report["counts"]) == ("expire_invites", False, {})
    assert "tenant" in report["error"]


def test_a_database_that_is_not_set_up_is_told_once(agentdb_empty_url: str) -> None:
    """And not as a failure of each verb."""
    result = agentdb("maintain", "--all", url=agentdb_empty_url)

    assert (result.exit_code, result.stdout) == (ExitCode.SCHEMA, "")
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_tenant_is_named(agentdb_url: str) -> None:
    """Nothing runs for all then."""
    result = agentdb("maintain", "--all", "--tenant", "nobody", url=agentdb_url)

    assert sentence(result) == "there is no tenant with the slug 'nobody'"


@pytest.mark.parametrize(
    "arguments",
    [
        ["purge_nothing"],
        ["--all", "purge_sessions"],
        ["purge_sessions", "--repair"],
        ["reconcile", "--older-than", "1d"],
        *(
            ["--all", "--older-than", age]
            for age in ("1", "d", "-1d", "1.5d", "1w", "٣d", "36526d")
        ),
        ["--all", "--batch", "0"],
        ["--all", "--max-batches", "0"],
    ],
)
def test_a_wrong_call_is_refused(agentdb_url: str, arguments: list[str]) -> None:
    """Before anything runs."""
    result = agentdb("maintain", *arguments, url=agentdb_url)

    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")


def test_the_longest_age_is_taken(agentdb_url: str) -> None:
    """It is the verbs' own."""
    assert LONGEST == checks.LONGEST
    result = agentdb("maintain", "--all", "--older-than", f"{LONGEST.days}d", url=agentdb_url)

    assert result.exit_code == ExitCode.DONE


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=36), "36h"),
        (30 * DAY, "30d"),
        (timedelta(seconds=61), "61s"),
        (None, None),
    ],
)
def test_ages_are_told_as_they_are_given(age: timedelta | None, text: str | None) -> None:
    """In the largest unit that tells them exactly."""
    assert age_text(age) == text


def test_progress_is_told_every_second(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, however fast the batches come."""
    instants = iter([0.0, EVERY / 2, EVERY, EVERY, EVERY * 1.5, EVERY * 9, EVERY * 9])
    told = Progress("purge_sessions", lambda: next(instants))

    for counts in ({"deleted": 1}, {"deleted": 2, "kept": 0}, {"deleted": 3}, {"deleted": 0}):
        told(counts)

    assert capsys.readouterr() == ("", "purge_sessions: 2 deleted\npurge_sessions: looking\n")


def started(url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENTDB_")}
    environment: Mapping[str, str] = {**kept, "AGENTDB_DATABASE_URL": url}
    return subprocess.Popen(
        [sys.executable, "-m", "agentdb", "maintain", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_fewer(url: str, count: int) -> None:
    """Wait until the command has begun to delete, a minute at the most."""
    deadline = time.monotonic() + 60

    async def poll() -> None:
        async with Database(url) as database:
            while time.monotonic() < deadline:
                async with database.read(reason="test") as uow:
                    if await uow.user_login_events.count() < count:
                        return
        raise AssertionError("the command deletes nothing")

    asyncio.run(poll())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_command_may_be_killed_and_run_again(
    agentdb_url: str, agentdb_make: Factory, how: signal.Signals
) -> None:
    """What it had done stays done; the next run does the rest, and nothing else."""
    log_in(agentdb_make, DAY)
    count, user = 3000, agentdb_make.user().id
    at = {"user_id": user, "created_at": utc_now() - YEAR, "ip_hash": "x", "result": "success"}
    old = [{"id": uuid_pk(), **at} for _ in range(count)]
    with agentdb_make.transaction() as session:
        session.execute(insert(table_of(UserLoginEvent)), old)
    with started(agentdb_url, "purge_login_events", "--batch", "1") as process:
        wait_until_fewer(agentdb_url, count)
        process.send_signal(how)
        process.communicate(timeout=60)

    interrupted = ExitCode.INTERRUPTED if how is signal.SIGINT else -how
    left = attempts_left(agentdb_url)
    assert process.returncode == interrupted
    assert 1 < left <= count
    result = agentdb("maintain", "purge_login_events", url=agentdb_url)
    assert rows(result) == [["purge_login_events", "deleted", str(left - 1), "done"]]
    assert attempts_left(agentdb_url) == 1
