"""The command as a whole: how it is started, what it is told, how it fails."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

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

    assert (result.returncode, result.stderr) == (0, "")
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
    """A failure is told on stderr, without a traceback, by exit code 1."""
    result = run(SCRIPT, "--url", "sqlite:////nowhere/at/all.db", "upgrade", folder=tmp_path)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: the database file cannot be opened\n"


def test_the_url_may_stand_before_or_after_the_command(tmp_path: Path) -> None:
    """The URL of the command wins over the one before it."""
    before, after = f"sqlite:///{tmp_path}/before.db", f"sqlite:///{tmp_path}/after.db"

    assert agentdb("upgrade", url=before).exit_code == 0
    assert agentdb("upgrade", "--url", after, url=before).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.db", "before.db"]


def test_help_loads_nothing_heavy() -> None:
    """`--help` answers at once: neither SQLAlchemy nor Alembic nor rich is imported for it."""
    code = "import agentdb.cli, sys; print({'sqlalchemy', 'alembic', 'rich'} & {*sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert result.stdout == "set()\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["downgrade"], ["replay"], ["ingest"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    """A call that cannot be understood is told apart from one that failed."""
    assert agentdb(*arguments).exit_code == 2


def test_refuses_a_database_in_memory() -> None:
    """A database that is gone when the command ends is a mistake."""
    result = agentdb("upgrade", url="sqlite://")

    assert result.exit_code == 2
    assert "a database in memory would be gone" in result.stderr


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the errors of agentdb become a sentence; a bug keeps its traceback."""

    def defect(_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("agentdb.migrate.current", defect)

    with pytest.raises(ZeroDivisionError):
        agentdb("current", url=f"sqlite:///{tmp_path}/a.db")
