"""The exit codes, one by one: a script tells from them what to do next."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import make_url

from agentdb import errors, migrate
from agentdb.cli.failures import ExitCode
from tests.cli.command import agentdb, run

FIRST = migrate.history()[0].revision


def test_0_done(agentdb_url: str) -> None:
    """What was asked for is done."""
    assert agentdb("current", url=agentdb_url).exit_code == ExitCode.DONE


def test_1_any_other_failure(tmp_path: Path) -> None:
    """A failure without a code of its own."""
    notes = tmp_path / "notes.txt"
    notes.write_text("These are notes, and no database at all. " * 100)

    assert agentdb("current", url=f"sqlite:///{notes}").exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["downgrade"],
        ["replay"],
        ["ingest"],
        ["current", "--nonsense"],
        ["upgrade", "--phase", "nonsense"],
        ["upgrade", "--wait", "-1"],
        ["tables", "nonsense"],
        ["schema", "--domain", "nonsense"],
        ["completion", "nonsense"],
        ["--json", "stamp", "head"],
        ["--wait", "1", "current"],
        ["--url", "sqlite://", "upgrade"],
    ],
)
def test_2_wrong_usage(arguments: list[str]) -> None:
    """A call that cannot be understood is told apart from one that failed."""
    result = agentdb(*arguments)

    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert "Error: " in result.stderr


def test_3_the_schema_is_not_as_needed(agentdb_empty_url: str) -> None:
    """A database that is behind, and a revision that there is not."""
    agentdb("upgrade", FIRST, url=agentdb_empty_url)

    assert agentdb("check", url=agentdb_empty_url).exit_code == ExitCode.SCHEMA
    assert agentdb("upgrade", "nope", url=agentdb_empty_url).exit_code == ExitCode.SCHEMA


@pytest.mark.parametrize("command", ["current", "upgrade", "check", "doctor", "adopt"])
def test_4_the_database_cannot_be_reached(command: str) -> None:
    """Nobody listens there: the deployment may try again."""
    result = agentdb(command, url="postgresql://somebody@127.0.0.1:1/nowhere")

    assert result.exit_code == ExitCode.UNREACHABLE


def test_5_gave_up_waiting(agentdb_empty_url: str) -> None:
    """Nobody upgrades the database in time."""
    result = agentdb("wait", "--timeout", "0", url=agentdb_empty_url)

    assert result.exit_code == ExitCode.GAVE_UP


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AgentDBError, 1),
        (errors.ConfigurationError, 1),
        (errors.PermissionDeniedError, 1),
        (errors.CorruptDatabaseError, 1),
        (errors.CommitUnknownError, 1),
        (errors.SchemaVersionError, 3),
        (errors.UnavailableError, 4),
        (errors.DeadlineError, 5),
        (errors.TransientError, 5),
    ],
)
def test_each_error_has_its_code(
    error: type[errors.AgentDBError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whatever command meets it, and its sentence is all that is said."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise error("a sentence")

    monkeypatch.setattr(migrate, "current", fail)

    result = agentdb("current", url=f"sqlite:///{tmp_path}/a.db")

    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "Error: a sentence\n")


def test_130_interrupted(agentdb_empty_url: str) -> None:
    """Ctrl-C ends the command at once, without a traceback."""
    command = [sys.executable, "-m", "agentdb", "wait", "--timeout", "60"]
    with subprocess.Popen(
        command,
        env={**os.environ, "AGENTDB_DATABASE_URL": agentdb_empty_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        waits = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert "agentdb upgrade" in waits
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the errors of agentdb become a sentence; a bug keeps its traceback."""

    def defect(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(migrate, "current", defect)

    result = run("current", url=f"sqlite:///{tmp_path}/a.db")

    assert (result.exit_code, result.stdout) == (ExitCode.FAILED, "")
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.endswith("\nZeroDivisionError\n")


def test_a_reader_that_has_gone_is_no_defect(tmp_path: Path) -> None:
    """`agentdb tables | head -1` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)

    result = subprocess.run(
        [sys.executable, "-m", "agentdb", "tables"],
        check=False,
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)

    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.agentdb_only("postgres")
def test_a_refused_log_in_is_unreachable(agentdb_empty_url: str) -> None:
    """A server that does not let the role in will not serve."""
    url = make_url(agentdb_empty_url).set(database="nowhere").render_as_string(hide_password=False)

    assert agentdb("current", url=url).exit_code == ExitCode.UNREACHABLE
