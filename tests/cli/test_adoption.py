"""Taking over a database whose tables were made by other means."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from agentdb import migrate
from tests.cli.command import agentdb, document, rows

HEAD = migrate.heads()[0]
KEY = "users.ix_users_status:missing_index"

Change = Callable[[str], None]


@pytest.fixture
def change(agentdb_url: str, agentdb_sync_connection: Connection) -> Change:
    """What runs a statement on the database of the test, whose revision is gone."""
    assert agentdb("demo", "--url", agentdb_url).exit_code == 0

    def run(statement: str) -> None:
        agentdb_sync_connection.execute(text(statement))
        agentdb_sync_connection.commit()

    run("DROP TABLE agentdb_version")
    return run


@pytest.fixture
def url(agentdb_url: str, change: Change) -> str:
    """A database with our tables, but for one index, and without a revision."""
    change("DROP INDEX ix_users_status")
    return agentdb_url


@pytest.mark.usefixtures("change")
def test_a_database_without_differences_is_taken_over(agentdb_url: str) -> None:
    """Nothing has to be accepted, and afterwards it is current."""
    result = agentdb("adopt", url=agentdb_url)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "the database is taken over\n"
    assert agentdb("check", url=agentdb_url).exit_code == 0


@pytest.mark.usefixtures("change")
def test_a_dry_run_changes_nothing(agentdb_url: str) -> None:
    """It tells that the database can be taken over, and leaves it without a revision."""
    result = agentdb("adopt", "--dry-run", url=agentdb_url)

    assert (result.exit_code, result.stderr) == (0, "the database can be taken over\n")
    assert agentdb("current", url=agentdb_url).stdout == "no revision\n"


def test_a_difference_refuses_the_database(url: str) -> None:
    """The rows name the difference by the key that accepts it, and nothing is changed."""
    result = agentdb("adopt", url=url)

    assert result.exit_code == 3
    (row,) = rows(result)
    assert (row[0], row[1], row[-1]) == ("difference", KEY, "harmless")
    assert result.stderr.endswith("Error: the database is not taken over, and is as it was\n")
    assert agentdb("current", url=url).stdout == "no revision\n"


def test_a_refusal_for_programs(url: str) -> None:
    """The document has the keys that are documented."""
    written = document(agentdb("adopt", "--json", url=url), 3)

    assert written.keys() == {"adopted", "refusals", "survey"}
    assert written["adopted"] is False
    assert len(written["refusals"]) == 1
    (difference,) = written["survey"]["differences"]
    assert difference["key"] == KEY


def test_sql_prints_what_closes_the_differences(url: str, change: Change) -> None:
    """The script may be read and run by somebody else; then nothing differs."""
    result = agentdb("adopt", "--sql", url=url)

    assert result.exit_code == 0
    assert "CREATE INDEX ix_users_status" in result.stdout
    change(result.stdout.strip())
    assert agentdb("adopt", url=url).exit_code == 0


def test_apply_closes_the_differences(url: str) -> None:
    """The SQL of the script runs before the database is taken over."""
    assert agentdb("adopt", "--apply", url=url).exit_code == 0
    assert agentdb("check", url=url).exit_code == 0


@pytest.mark.parametrize("key", [KEY, "*:missing_index"])
def test_an_accepted_difference_stays(key: str, url: str) -> None:
    """Whoever names it takes the database as it is."""
    written = document(agentdb("adopt", "--accept", "x:y", "--accept", key, "--json", url=url))

    assert written["adopted"] is True
    assert agentdb("current", url=url).stdout == f"{HEAD}\n"
    assert agentdb("check", url=url).exit_code == 3


def test_refused_rows_and_keys_are_listed_first(agentdb_url: str, change: Change) -> None:
    """Whoever adopts a filled database sees what its rows stand against."""
    change("DROP INDEX uq_user_profiles_user_id")
    change(
        "INSERT INTO user_profiles (id, user_id, created_at, updated_at) VALUES"
        f" ('{'a' * 32}', (SELECT id FROM users), '2026-03-02 09:30:00', '2026-03-02 09:30:00')"
    )
    change("UPDATE agent_conversations SET conversation_key = 'bare'")

    listed = rows(agentdb("adopt", "--dry-run", url=agentdb_url))

    assert [row[0] for row in listed] == ["refused rows", "conversation keys", "difference"]
    assert listed[0][1:5] == ["uq_user_profiles_user_id", "user_profiles", "user_id", "2"]
    assert listed[1][1:] == ["rewritten", "1", ""]
