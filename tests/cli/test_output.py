"""Tables for people, columns for scripts."""

import os
import pty
import subprocess
import sys

import pytest

from agentdb import migrate
from agentdb.catalog import Difference, Kind
from agentdb.cli.output import difference_rows, print_sections, print_table
from tests.cli.command import agentdb

ESCAPE = "\x1b"


def on_a_terminal(*command: str, columns: int = 120) -> str:
    """Return what the command prints to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [sys.executable, "-m", "agentdb", *command], stdout=theirs, env=environment
    ):
        os.close(theirs)
        printed = b""
        while read := _read(ours):
            printed += read
    os.close(ours)
    return printed.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


def test_a_terminal_gets_a_table_with_headings() -> None:
    """Whoever reads it learns what the columns are, and no name is broken or cut."""
    printed = on_a_terminal("tables")

    assert "tenancy" in printed.splitlines()[0]
    assert ESCAPE in printed
    assert "tenant_signup_invite_reservations" in printed
    assert "…" not in printed


def test_a_pipe_gets_plain_columns() -> None:
    """No heading, no colour and no cut, even if the environment asks for colours."""
    result = agentdb("history", COLUMNS="20", FORCE_COLOR="1", TERM="xterm")

    assert ESCAPE not in result.stdout
    last = migrate.history()[-1]
    expected = f"{last.revision}\t{last.release}\t{last.phase}\t{last.description}"
    assert expected == result.stdout.splitlines()[-1]


def test_a_value_stays_in_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    """Tabs and line breaks in a value would make columns and rows of it."""
    print_table(("a", "b"), [("1\n2\t3", None), ("[red]", 4)])
    print_sections(("x", ("a",), [(1,)]), ("y", ("a",), []))

    assert capsys.readouterr().out == "1 2 3\t\n[red]\t4\nx\t1\n"


@pytest.mark.parametrize(
    ("kind", "statements", "harmless", "said"),
    [
        (Kind.MISSING_INDEX, ("CREATE INDEX …",), True, "harmless"),
        (Kind.TYPE, ("ALTER TABLE …",), False, "changes rows"),
        (Kind.MISSING_TABLE, (), False, "by hand"),
        (Kind.EXTRA_INDEX, (), True, "not needed"),
    ],
)
def test_a_difference_tells_what_closing_it_takes(
    kind: Kind, statements: tuple[str, ...], harmless: bool, said: str
) -> None:
    """Whoever decides sees at once which can be closed without a thought."""
    found = Difference("t", kind, "i", "expected", "found", harmless, statements)

    assert difference_rows([found]) == [(f"t.i:{kind}", "expected", "found", said)]
