"""The command as a whole: how it is started, what it is told, how it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentdb import __version__
from tests.cli.command import agentdb

SCRIPT = Path(sys.executable).with_name("agentdb")


def run(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, in a folder of its own."""
    inherited = {k: v for k, v in os.environ.items() if k != "AGENTDB_DATABASE_URL"}
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", [[SCRIPT], [sys.executable, "-m", "agentdb"]])
def test_starts_as_a_script_and_as_a_module(command: list[str | Path], tmp_path: Path) -> None:
    """The command works where its script is not on the path, too."""
    result = run(*command, "--version", folder=tmp_path)

    assert (0, f"agentdb, version {__version__}\n") == (result.returncode, result.stdout)


def test_the_installed_script_upgrades_the_embedded_default(tmp_path: Path) -> None:
    """Without any configuration the database is a file in the working directory."""
    result = run(SCRIPT, "upgrade", folder=tmp_path)

    assert (result.returncode, result.stdout.count("\n")) == (0, 1)
    assert (tmp_path / "agentdb.sqlite3").is_file()


def test_the_installed_script_reads_the_environment(tmp_path: Path) -> None:
    """AGENTDB_DATABASE_URL names the database; a host's DATABASE_URL is another one."""
    result = run(
        SCRIPT,
        "upgrade",
        folder=tmp_path,
        AGENTDB_DATABASE_URL="sqlite:///ours.db",
        DATABASE_URL="sqlite:///theirs.db",
    )

    assert result.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.db"]


def test_the_installed_script_fails_with_one_sentence(tmp_path: Path) -> None:
    """A failure is told on stderr, without a traceback, by an exit code."""
    result = run(SCRIPT, "--url", "sqlite:////nowhere/at/all.db", "upgrade", folder=tmp_path)

    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr == "Error: the database file cannot be opened\n"


def test_refuses_a_database_in_memory() -> None:
    """A database that is gone when the command ends is a mistake."""
    result = agentdb("upgrade", url="sqlite://")

    assert result.exit_code == 2
    assert "a database in memory would be gone" in result.stderr
