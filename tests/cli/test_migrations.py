"""The commands that change the schema, forwards."""

from typing import Any

import pytest

from agentdb import migrate
from tests.cli.command import agentdb, document, rows, sentence

HEAD = migrate.heads()[0]
FIRST = migrate.history()[0].revision


def test_upgrades_an_empty_database_and_can_be_repeated(agentdb_empty_url: str) -> None:
    """Each start of each replica may upgrade."""
    for _ in range(2):
        result = agentdb("upgrade", url=agentdb_empty_url)

        assert (0, f"the database is at {HEAD}\n") == (result.exit_code, result.stdout)
        assert "Error" not in result.stderr
    assert f"{HEAD}\n" == agentdb("current", url=agentdb_empty_url).stdout


def test_upgrades_to_a_revision(agentdb_empty_url: str) -> None:
    """A deployment may go in steps."""
    result = agentdb("upgrade", FIRST, url=agentdb_empty_url)

    assert (0, f"the database is at {FIRST}\n") == (result.exit_code, result.stdout)


def test_stamps_without_running_anything(agentdb_empty_url: str) -> None:
    """A database that was built otherwise can be put under management."""
    result = agentdb("stamp", HEAD, url=agentdb_empty_url)

    assert (0, f"the database is marked as {HEAD}\n") == (result.exit_code, result.stdout)
    assert f"{HEAD}\n" == agentdb("current", url=agentdb_empty_url).stdout


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp"])
def test_an_unknown_revision_changes_nothing(command: str, agentdb_url: str) -> None:
    """A slip of the pen is one sentence."""
    assert "'nope'" in sentence(agentdb(command, "nope", url=agentdb_url), 3)
    assert f"{HEAD}\n" == agentdb("current", url=agentdb_url).stdout


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_prints_the_sql_of_an_upgrade(dialect: str) -> None:
    """A database administrator reads the statements, without a database."""
    result = agentdb("sql", "--dialect", dialect)

    assert result.exit_code == 0
    assert "CREATE TABLE tenant_accounts" in result.stdout
    assert f"version_num='{HEAD}'" in result.stdout


def test_prints_the_sql_between_two_revisions() -> None:
    """What a deployment will run is all that is printed."""
    result = agentdb("sql", "--from", FIRST, "--to", "0002")

    assert result.exit_code == 0
    assert "CREATE TABLE tenant_accounts" not in result.stdout
    assert "CREATE TABLE users" in result.stdout


def test_prints_the_sql_of_a_release() -> None:
    """Whoever deploys knows the versions of the package, not its revisions."""
    release = migrate.history()[-1].release

    assert agentdb("sql", "--to", release).stdout == agentdb("sql").stdout


def test_the_sql_has_the_limits_that_are_asked_for() -> None:
    """A script that somebody else runs keeps readers waiting no longer than the command would."""
    limits = ("--lock-timeout", "2", "--statement-timeout", "30")

    script = agentdb("sql", "--to", FIRST, *limits).stdout

    assert "lock_timeout = '2000ms';" in script
    assert "statement_timeout = '30000ms';" in script


def test_prints_the_sql_of_a_schema() -> None:
    """Each name is qualified, so the script does not depend on a search path."""
    result = agentdb("sql", "--schema", "agents")

    assert result.exit_code == 0
    assert "CREATE TABLE agents.tenant_accounts" in result.stdout


def test_an_upgrade_tells_its_progress_on_stderr(agentdb_empty_url: str) -> None:
    """Whoever waits sees each revision; what is piped on is the result alone."""
    result = agentdb("upgrade", url=agentdb_empty_url)

    assert [step.revision in result.stderr for step in migrate.history()] == [True] * int(HEAD)
    assert len(result.stdout.splitlines()) == 1


def test_an_upgrade_tells_programs_what_it_applied(agentdb_empty_url: str) -> None:
    """The document names the revision, and each step of this run alone."""
    agentdb("upgrade", FIRST, url=agentdb_empty_url)

    first = document(agentdb("upgrade", "--json", url=agentdb_empty_url))
    again = document(agentdb("--json", "upgrade", url=agentdb_empty_url))

    assert first["revision"] == again["revision"] == HEAD
    assert [step["revision"] for step in first["applied"]] == [
        step.revision for step in migrate.history()[1:]
    ]
    assert again["applied"] == []


def test_a_dry_run_tells_what_is_pending_and_changes_nothing(agentdb_empty_url: str) -> None:
    """A deployment can be reviewed before it happens."""
    agentdb("upgrade", FIRST, url=agentdb_empty_url)

    listed = agentdb("upgrade", "--dry-run", url=agentdb_empty_url)
    written = document(agentdb("upgrade", "--dry-run", "--json", url=agentdb_empty_url))

    expected = [step.revision for step in migrate.history()[1:]]
    assert expected == [row[0] for row in rows(listed)]
    assert expected == [step["revision"] for step in written["pending"]]
    assert written["revision"] == FIRST
    assert agentdb("current", url=agentdb_empty_url).stdout == f"{FIRST}\n"


def test_a_dry_run_at_the_head_prints_no_row(agentdb_url: str) -> None:
    """A script that counts the lines counts none."""
    result = agentdb("upgrade", "--dry-run", url=agentdb_url)

    assert (result.exit_code, result.stdout) == (0, "")
    assert f"nothing to apply: the database is at {HEAD}\n" == result.stderr


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_limits_and_phase_reach_the_migration(
    command: str, monkeypatch: pytest.MonkeyPatch, agentdb_url: str
) -> None:
    """What is given before the command, after it and in the environment arrives; 0 is no limit."""
    calls: list[dict[str, Any]] = []

    def migration(*_: object, **options: Any) -> list[migrate.Revision]:
        calls.append(options)
        return []

    monkeypatch.setattr(migrate, command, migration)
    phase = ["--phase", "expand"] if command == "upgrade" else []

    result = agentdb(
        "--lock-timeout",
        "2",
        command,
        HEAD,
        "--statement-timeout",
        "0",
        *phase,
        url=agentdb_url,
        AGENTDB_UPGRADE_WAIT="7",
        AGENTDB_LOCK_TIMEOUT="9",
        AGENTDB_STATEMENT_TIMEOUT="9",
    )

    assert result.exit_code == 0
    (call,) = calls
    assert call["limits"] == migrate.Limits(wait=7, lock_timeout=2, statement_timeout=None)
    assert call.get("phase") == (phase[1] if phase else None)


def test_limits_that_are_not_given_are_the_librarys(
    monkeypatch: pytest.MonkeyPatch, agentdb_url: str
) -> None:
    """The command has no defaults of its own that could drift."""
    calls: list[dict[str, Any]] = []

    def migration(*_: object, **options: Any) -> list[migrate.Revision]:
        calls.append(options)
        return []

    monkeypatch.setattr(migrate, "upgrade", migration)
    agentdb("upgrade", url=agentdb_url)

    assert calls[0]["limits"] == migrate.Limits()
