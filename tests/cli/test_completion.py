"""Completion in shells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.cli import main
from agentdb.models import Base
from tests.cli.command import agentdb

BASH = "/bin/bash"
SCRIPT = Path(sys.executable).with_name("agentdb")


def completed(words: str, shell: str = "bash") -> list[str]:
    """Return what is offered for the last of *words*, through the protocol of the shells."""
    protocol = {
        "_AGENTDB_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words if shell != "fish" else words.rpartition(" ")[0],
        "COMP_CWORD": str(words.count(" ")) if shell != "fish" else words.rpartition(" ")[2],
    }
    result = subprocess.run(
        [SCRIPT], check=True, env={**os.environ, **protocol}, capture_output=True, text=True
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_prints_the_script_of_a_shell(shell: str) -> None:
    """The script asks the command by the variable that the command listens to."""
    result = agentdb("completion", shell)

    assert result.exit_code == 0
    assert f"_AGENTDB_COMPLETE={shell}_complete" in result.stdout
    assert "agentdb" in result.stdout


def test_the_script_of_bash_completes(tmp_path: Path) -> None:
    """Sourced by the shell itself, it offers the commands that begin so."""
    script = tmp_path / "completion.bash"
    script.write_text(agentdb("completion", "bash").stdout)
    lines = (
        f". {script}",
        "COMP_WORDS=(agentdb down) COMP_CWORD=1",
        "_agentdb_completion agentdb",
        'echo "${COMPREPLY[@]}"',
    )

    result = subprocess.run(
        [BASH, "--norc", "-c", "\n".join(lines)],
        check=True,
        env={**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert (result.stdout, result.stderr) == ("downgrade\n", "")


def test_completes_commands_and_options() -> None:
    """All commands, and the options of one."""
    assert {f"plain,{name}" for name in main.commands} == set(completed("agentdb "))
    assert completed("agentdb upgrade --dry") == ["plain,--dry-run"]
    assert completed("agentdb upgrade --phase ") == ["plain,expand", "plain,contract"]


def test_completes_revisions_tables_and_domains() -> None:
    """What would have to be looked up first."""
    revisions = [step.revision for step in migrate.history()]
    domains = {mapper.class_.__module__.split(".")[1] for mapper in Base.registry.mappers}

    assert [f"plain,{name}" for name in [*revisions, "head", "base"]] == completed(
        "agentdb upgrade "
    )
    assert [f"plain,{name}" for name in sorted(Base.metadata.tables)] == completed(
        "agentdb tables "
    )
    assert {f"plain,{name}" for name in domains} == set(completed("agentdb schema --domain "))
    assert completed("agentdb sql --from bas") == ["plain,base"]


def test_zsh_is_told_what_a_command_does() -> None:
    """Zsh and fish show a description beside each word."""
    assert completed("agentdb upgra", "zsh") == ["plain", "upgrade", "apply migrations"]
    assert completed("agentdb upgra", "fish") == ["plain,upgrade\tapply migrations"]
