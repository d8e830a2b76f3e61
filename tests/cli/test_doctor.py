"""What a report of a bug needs."""

import pytest

from agentdb import __version__
from tests.cli.command import agentdb, document, rows


def test_examines_a_database(agentdb_url: str) -> None:
    """Installation, connection, revision and drift, a row each: name, status, value, advice."""
    result = agentdb("doctor", url=agentdb_url)
    found = {row[0]: row[1:3] for row in rows(result)}

    assert result.exit_code == 0
    assert found["agentdb"] == ["ok", __version__]
    assert found["connection"][0] == found["drift"][0] == found["verdict"][0] == "ok"
    assert {len(row) for row in rows(result)} == {4}


def test_examines_for_programs(agentdb_url: str) -> None:
    """The document has the keys that are documented."""
    report = document(agentdb("doctor", "--json", url=agentdb_url))

    assert report.keys() == {"status", "reachable", "findings"}
    assert {tuple(item) for item in report["findings"]} == {("name", "status", "value", "advice")}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_examines_what_cannot_be_reached(form: tuple[str, ...]) -> None:
    """The report is printed all the same, without host, user and password; exit code 4."""
    url = "postgresql://somebody:correct-horse@127.0.0.1:1/nowhere"

    result = agentdb("doctor", *form, url=url)

    assert result.exit_code == 4
    assert __version__ in result.stdout
    assert "problem" in result.stdout
    for private in ("somebody", "correct-horse", "127.0.0.1", "nowhere"):
        assert private not in result.output


def test_a_problem_is_exit_code_1(agentdb_empty_url: str) -> None:
    """A script that examines before a deployment hears of it."""
    agentdb("upgrade", url=agentdb_empty_url)
    agentdb("stamp", "0001", url=agentdb_empty_url)

    result = agentdb("doctor", url=agentdb_empty_url)

    assert result.exit_code == 1
    assert "Error: there are problems: verdict" in result.stderr
