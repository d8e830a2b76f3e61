"""The commands about the schema."""

import pytest

from agentdb import migrate
from tests.cli.command import agentdb, sentence

HEAD = migrate.heads()[0]
FIRST = migrate.history()[0].revision


def test_upgrades_an_empty_database_and_can_be_repeated(agentdb_empty_url: str) -> None:
    """Each start of each replica may upgrade."""
    for _ in range(2):
        result = agentdb("upgrade", url=agentdb_empty_url)

        assert (0, f"the database is at {HEAD}\n") == (result.exit_code, result.stdout)
    assert f"{HEAD}\n" == agentdb("current", url=agentdb_empty_url).stdout


def test_upgrades_to_a_revision(agentdb_empty_url: str) -> None:
    """A deployment may go in steps."""
    result = agentdb("upgrade", FIRST, url=agentdb_empty_url)

    assert (0, f"the database is at {FIRST}\n") == (result.exit_code, result.stdout)


def test_downgrades_to_nothing(agentdb_url: str) -> None:
    """All that was made is taken back, and can be made again."""
    result = agentdb("downgrade", "base", url=agentdb_url)

    assert (result.exit_code, result.stdout) == (0, "the database is at no revision\n")
    assert agentdb("current", url=agentdb_url).stdout == "no revision\n"
    assert agentdb("upgrade", url=agentdb_url).exit_code == 0


def test_downgrades_to_a_revision(agentdb_url: str) -> None:
    """A deployment may go back by a step."""
    result = agentdb("downgrade", FIRST, url=agentdb_url)

    assert (0, f"the database is at {FIRST}\n") == (result.exit_code, result.stdout)


def test_lists_the_migrations() -> None:
    """The history names each revision, oldest first, and the head is the last of them."""
    lines = agentdb("history").stdout.splitlines()

    assert [step.revision for step in migrate.history()] == [line.split()[0] for line in lines]
    assert f"{HEAD}\n" == agentdb("heads").stdout


def test_check_finds_nothing_after_an_upgrade(agentdb_url: str) -> None:
    """The migrations make the tables of the models."""
    result = agentdb("check", url=agentdb_url)

    assert result.exit_code == 0
    assert result.stdout == "the tables of the database are those of this release\n"


def test_check_tells_what_differs(agentdb_empty_url: str) -> None:
    """A database that says it is at the head without having the tables is found out."""
    assert agentdb("stamp", "head", url=agentdb_empty_url).exit_code == 0

    result = agentdb("check", url=agentdb_empty_url)

    assert result.exit_code == 1
    assert "add_table" in result.stdout
    assert result.stderr == "Error: the tables of the database differ from this release\n"


def test_check_refuses_a_database_that_is_behind(agentdb_empty_url: str) -> None:
    """A difference that an upgrade removes is no difference to look at."""
    agentdb("upgrade", FIRST, url=agentdb_empty_url)

    assert "run `agentdb upgrade`" in sentence(agentdb("check", url=agentdb_empty_url))


def test_stamps_without_running_anything(agentdb_empty_url: str) -> None:
    """A database that was built otherwise can be put under management."""
    result = agentdb("stamp", HEAD, url=agentdb_empty_url)

    assert (0, f"the database is marked as {HEAD}\n") == (result.exit_code, result.stdout)
    assert f"{HEAD}\n" == agentdb("current", url=agentdb_empty_url).stdout


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp"])
def test_an_unknown_revision_changes_nothing(command: str, agentdb_url: str) -> None:
    """A slip of the pen is one sentence."""
    assert "'nope'" in sentence(agentdb(command, "nope", url=agentdb_url))
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
    result = agentdb("sql", f"{FIRST}:0002")

    assert result.exit_code == 0
    assert "CREATE TABLE tenant_accounts" not in result.stdout
    assert "CREATE TABLE users" in result.stdout
