"""The commands that look at the schema."""

import pytest

from agentdb import migrate
from tests.cli.command import agentdb, document, rows, sentence

HEAD = migrate.heads()[0]
FIRST = migrate.history()[0].revision
STEP = ("revision", "down_revision", "description", "phase", "release", "atomic")
VERDICT = {"state", "revision", "head", "pending", "safe", "detail"}


def test_current_prints_the_revision(agentdb_url: str, agentdb_empty_url: str) -> None:
    """A word for people, null for programs, where there is none."""
    assert agentdb("current", url=agentdb_url).stdout == f"{HEAD}\n"
    assert document(agentdb("current", "--json", url=agentdb_url)) == {"revision": HEAD}
    assert agentdb("current", url=agentdb_empty_url).stdout == "no revision\n"
    assert document(agentdb("current", "--json", url=agentdb_empty_url)) == {"revision": None}


def test_lists_the_migrations() -> None:
    """The history names each revision, oldest first, and the head is the last of them."""
    expected = [[s.revision, s.release, s.phase, s.description] for s in migrate.history()]

    assert expected == rows(agentdb("history"))
    assert f"{HEAD}\n" == agentdb("heads").stdout


def test_lists_the_migrations_for_programs() -> None:
    """The documents have the keys that are documented."""
    steps = document(agentdb("history", "--json"))["revisions"]

    assert [step.revision for step in migrate.history()] == [step["revision"] for step in steps]
    assert {tuple(step) for step in steps} == {STEP}
    assert document(agentdb("heads", "--json")) == {"heads": [HEAD]}


def test_check_finds_nothing_after_an_upgrade(agentdb_url: str) -> None:
    """The migrations make the tables of the models."""
    result = agentdb("check", url=agentdb_url)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "the tables of the database are those of this release\n"


def test_check_writes_its_verdict_for_programs(agentdb_url: str) -> None:
    """The document has the keys that are documented."""
    checked = document(agentdb("check", "--json", url=agentdb_url))

    assert checked.keys() == {"verdict", "differences"}
    assert checked["verdict"].keys() == VERDICT
    assert checked["verdict"]["state"] == "current"
    assert checked["differences"] == []


def test_check_tells_a_database_that_is_behind(agentdb_empty_url: str) -> None:
    """A difference that an upgrade removes is no difference to look at."""
    agentdb("upgrade", FIRST, url=agentdb_empty_url)

    checked = document(agentdb("check", "--json", url=agentdb_empty_url), 3)

    assert checked["verdict"]["state"] == "behind"
    assert len(checked["verdict"]["pending"]) == int(HEAD) - 1
    assert "run `agentdb upgrade`" in sentence(agentdb("check", url=agentdb_empty_url), 3)


def test_check_finds_out_a_database_that_only_says_so(agentdb_empty_url: str) -> None:
    """A database that says it is at the head without having the tables is found out."""
    assert agentdb("stamp", "head", url=agentdb_empty_url).exit_code == 0

    checked = document(agentdb("check", "--json", url=agentdb_empty_url), 3)

    assert checked["verdict"]["state"] == "foreign"


@pytest.mark.agentdb_commits
def test_wait_returns_where_the_release_can_work(agentdb_url: str) -> None:
    """Whoever waits for a database that is ready does not wait."""
    result = agentdb("wait", "--timeout", "0", url=agentdb_url)
    written = document(agentdb("wait", "--json", url=agentdb_url))

    assert (0, f"the database is at {HEAD}, as this release\n") == (result.exit_code, result.stdout)
    assert written["verdict"]["safe"] is True


def test_wait_gives_up(agentdb_empty_url: str) -> None:
    """A replica that would never start says why, by an exit code of its own."""
    result = agentdb("wait", url=agentdb_empty_url, AGENTDB_WAIT_TIMEOUT="0")

    assert (result.exit_code, result.stdout) == (5, "")
    assert "Error: " in result.stderr
