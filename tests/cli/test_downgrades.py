"""Going back, which asks before data is lost."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agentdb import migrate
from tests.cli.command import agentdb

HEAD = migrate.heads()[0]
FIRST = migrate.history()[0].revision


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


@pytest.fixture
def filled_url(agentdb_url: str) -> str:
    """A database with a conversation in it."""
    assert agentdb("demo", "--url", agentdb_url).exit_code == 0
    return agentdb_url


def test_a_downgrade_that_loses_data_needs_a_terminal_or_yes(filled_url: str) -> None:
    """A script that did not mean it loses nothing, and is told what it would have lost."""
    result = agentdb("downgrade", FIRST, url=filled_url)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "  agent_messages: 2 rows\n" in result.stderr
    assert "--yes" in result.stderr
    assert agentdb("current", url=filled_url).stdout == f"{HEAD}\n"


def test_yes_downgrades_without_asking(filled_url: str) -> None:
    """A script that means it says so."""
    result = agentdb("downgrade", FIRST, "--yes", url=filled_url)

    assert (0, f"the database is at {FIRST}\n") == (result.exit_code, result.stdout)


def answered(answer: str, *command: str) -> tuple[int, str]:
    """Run the command before a terminal and answer its question.

    Returns:
        Its exit code and what it said.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agentdb", *command], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        said = "".join(_until(ours, "[y/N]: "))
        os.write(ours, answer.encode())
        said += "".join(_until(ours, None))
    finally:
        os.close(ours)  # hangs up, which ends a process that still waits
        code = process.wait()
    return code, said.replace("\r\n", "\n")


def _until(terminal: int, prompt: str | None) -> Iterator[str]:
    """Yield what is printed, to the prompt or to the end."""
    seen = ""
    while prompt is None or not seen.endswith(prompt):
        try:
            read = os.read(terminal, 4096).decode()
        except OSError:  # Linux: the other side is closed
            return
        if not read:
            return
        seen += read
        yield read


@pytest.mark.parametrize(("answer", "code", "at"), [("y\n", 0, FIRST), ("n\n", 1, HEAD)])
def test_a_downgrade_asks_on_a_terminal(answer: str, code: int, at: str, filled_url: str) -> None:
    """Somebody sees what is deleted, and only their yes deletes it."""
    ended, said = answered(answer, "downgrade", FIRST, "--url", filled_url)

    assert code == ended
    assert "agent_messages: 2 rows" in said
    assert ("nothing was changed" in said) == (at == HEAD)
    assert f"{at}\n" == agentdb("current", url=filled_url).stdout


def test_no_answer_changes_nothing(filled_url: str) -> None:
    """The end of the input is no yes."""
    code, said = answered("\x04", "downgrade", FIRST, "--url", filled_url)

    assert code == 130
    assert "Traceback" not in said
    assert agentdb("current", url=filled_url).stdout == f"{HEAD}\n"
