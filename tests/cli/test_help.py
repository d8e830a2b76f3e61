"""What the command tells of itself."""

import os
import subprocess
import sys

import click
import pytest

from agentdb.cli import SECTIONS, main
from tests.cli.command import agentdb
from tests.cli.command_page import ALL

COMMANDS = sorted(main.commands)


def help_of(*command: str, columns: int = 80) -> str:
    """Return the help as a terminal of this width shows it."""
    result = subprocess.run(
        [sys.executable, "-m", "agentdb", *command, "--help"],
        check=True,
        env={**os.environ, "COLUMNS": str(columns), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout


def test_the_help_fits_one_screen() -> None:
    """A terminal of 24 lines and 80 columns shows all of it, nothing cut short."""
    lines = help_of().splitlines()

    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "..." not in "".join(lines[1:])


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_names_every_command(columns: int) -> None:
    """Whatever the width, and in the section that it belongs to."""
    words = help_of(columns=columns).split()

    assert sorted(command.name or "" for _, group in SECTIONS for command in group) == COMMANDS
    assert set(COMMANDS) <= set(words)


@pytest.mark.parametrize("name", sorted({*COMMANDS, *ALL}))
def test_every_command_explains_itself(name: str) -> None:
    """Its help begins with a sentence, and each option has one."""
    command = ALL.get(name) or main.commands[name]

    assert (command.help or "").partition("\n")[0].strip()
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]}"
    assert f"agentdb {name} " in agentdb(*name.split(), "--help").stdout


def test_h_is_help() -> None:
    """The short form works before and after the name of a command."""
    assert agentdb("--help").stdout == agentdb("-h").stdout
    assert agentdb("check", "--help").stdout == agentdb("check", "-h").stdout


def test_help_loads_nothing_heavy() -> None:
    """`--help` answers at once: neither SQLAlchemy nor Alembic nor rich is imported for it."""
    code = "import agentdb.cli, sys; print({'sqlalchemy', 'alembic', 'rich'} & {*sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert result.stdout == "set()\n"
