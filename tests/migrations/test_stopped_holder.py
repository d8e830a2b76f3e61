"""An upgrader that stands still keeps the others waiting, and nothing is done twice."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
import pytest

from agentdb import migrate
from agentdb.testing import Template
from tests.migrations.crowd import Crowd, Job, run
from tests.migrations.dumps import dump, versions
from tests.migrations.polling import eventually
from tests.migrations.server import lock_holders, plain
from tests.migrations.traps import Trap

ALL = [step.revision for step in migrate.history()]
MIDDLE = "CREATE TABLE containers"


@pytest.fixture
def expected(agentdb_template: Template) -> list[tuple[str, ...]]:
    """The schema that an upgrade makes which nothing disturbs."""
    url = agentdb_template.clone()
    found = dump(url)
    agentdb_template.drop(url)
    return found


def test_others_give_up_while_the_holder_stands_still_and_it_finishes_later(
    agentdb_empty_url: str, tmp_path: Path, expected: list[tuple[str, ...]]
) -> None:
    """Those who wait end with DeadlineError after their patience; the holder applies all, once."""
    claim = tmp_path / "claim"
    trap = Trap(at=MIDDLE, signal=signal.SIGSTOP, claim=claim)
    with Crowd([Job(url=agentdb_empty_url, trap=trap)]) as holder:
        eventually(claim.exists)
        waiters = run(*[Job(url=agentdb_empty_url, wait=0.5)] * 4)
        (finished,) = holder.go_on()

    assert [waiter.error for waiter in waiters] == ["DeadlineError"] * 4
    assert (finished.exit_code, finished.applied) == (0, ALL)
    assert versions(agentdb_empty_url) == ALL[-1:]
    assert dump(agentdb_empty_url) == expected


@pytest.mark.agentdb_only("postgres")
def test_a_holder_that_lost_its_lock_while_it_stood_still_applies_nothing(
    agentdb_empty_url: str, tmp_path: Path, expected: list[tuple[str, ...]]
) -> None:
    """Its transaction is rolled back when it goes on, and whoever took the lock meanwhile does it.

    A partition of the network does that: the server drops the connection of the lock, and the one
    that works is still there.
    """
    claim = tmp_path / "claim"
    trap = Trap(at=MIDDLE, signal=signal.SIGSTOP, claim=claim)
    with (
        psycopg.connect(plain(agentdb_empty_url), autocommit=True) as server,
        Crowd([Job(url=agentdb_empty_url, trap=trap)]) as first,
    ):
        eventually(claim.exists)
        (lost,) = lock_holders(server)
        server.execute("SELECT pg_terminate_backend(%s)", (lost,))
        with Crowd([Job(url=agentdb_empty_url)]) as second:
            eventually(lambda: lock_holders(server) not in ([], [lost]))
            (loser,), (winner,) = first.go_on(), second.outcomes()

    assert loser.error == "UnavailableError"
    assert (winner.exit_code, winner.applied) == (0, ALL)
    assert versions(agentdb_empty_url) == ALL[-1:]
    assert dump(agentdb_empty_url) == expected


def test_who_was_killed_while_it_stood_still_gives_the_lock_up(
    agentdb_empty_url: str, tmp_path: Path
) -> None:
    """The lock ends with the connection or the process, so nobody has to clean up."""
    claim = tmp_path / "claim"
    trap = Trap(at=MIDDLE, signal=signal.SIGSTOP, claim=claim)
    with Crowd([Job(url=agentdb_empty_url, trap=trap)]) as holder:
        eventually(claim.exists)
        holder.kill()
        (waiter,) = run(Job(url=agentdb_empty_url))

    assert waiter.applied == ALL
