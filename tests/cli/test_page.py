"""The pages about the command are true: generated, or run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdb.cli.failures import ExitCode
from agentdb.crypto import generate_key
from tests.cli.command import DESTINATION, agentdb, document, frame, write_stream
from tests.cli.command_page import (
    ALL,
    KEYS,
    MARK,
    PAGE,
    commands_of,
    options_of,
    render,
    written_part,
)
from tests.cli.deliveries import deliver

TEXT = PAGE.read_text("utf-8")
UPGRADE = PAGE.parents[1] / "how-to" / "upgrade.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_lists_the_commands_as_they_are() -> None:
    """A command, an option or a variable cannot change behind the documentation."""
    assert TEXT.partition(MARK)[2].lstrip("\n") == render(), "run python -m tests.cli.command_page"
    assert sorted(commands_of(TEXT)) == sorted(ALL)


def test_the_page_names_every_option_and_variable() -> None:
    """And none that does not exist, in the part that people write."""
    options = {flag for c in ALL.values() for o in options_of(c) for flag in o.opts}
    variables = {str(o.envvar) for c in ALL.values() for o in options_of(c) if o.envvar}

    assert variables | {KEYS} == set(re.findall(r"AGENTDB_[A-Z_]+", TEXT))
    assert set(re.findall(r"(?<=`)--[a-z-]+", TEXT)) <= options | {"--help", "--version"}


def test_the_page_lists_the_exit_codes() -> None:
    """Each of them, and no other."""
    table = written_part(TEXT).partition("## Exit codes")[2].partition("\n## ")[0]

    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(
        ExitCode
    )


def test_the_page_lists_the_documents(agentdb_url: str) -> None:
    """Every command that has --json, with the keys of what it prints."""
    table = written_part(TEXT).partition("## Output")[2]
    rows = re.findall(r"^\| `([a-z]+.*?)` \| (`.*`) \|$", table, re.MULTILINE)
    keys = {command: re.findall(r"`(\w+)`", names) for command, names in rows}

    documented = {max(n for n in ALL if f"{c} ".startswith(f"{n} ")) for c in keys}
    assert documented == {
        name for name, c in ALL.items() if any("--json" in o.opts for o in options_of(c))
    }
    deliver(agentdb_url, "evt_1", "billing_sync")
    on_sqlite = agentdb_url.startswith("sqlite")
    for command, names in keys.items():
        if on_sqlite and command.startswith("rls"):
            continue  # it has no roles to bind
        code = 3 if command == "adopt" else 0
        given = {KEYS: generate_key("k")}
        result = agentdb(*command.split(), "--json", url=agentdb_url, **given)
        written = document(result, code)
        assert names == list(written), command


def examples(page: Path) -> list[tuple[str, str]]:
    """Return the commands of a page's consoles, each with what it prints."""
    consoles = "".join(BLOCK.findall(page.read_text("utf-8")))
    parts = re.split(r"^\$ ", consoles, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (p.partition("\n") for p in parts)]


@pytest.mark.parametrize("page", [PAGE, UPGRADE], ids=lambda page: page.stem)
def test_the_examples_print_what_the_page_says(
    page: Path, agentdb_empty_url: str, tmp_path: Path
) -> None:
    """A shell runs them one after the other; `…` stands for what differs."""
    write_stream(tmp_path / "stream.ndjson", [frame(1), frame(2)])
    shell = Shell(tmp_path, agentdb_empty_url)

    for command, expected in examples(page):
        printed = shell.run(command)
        pattern = ".*".join(re.escape(part) for part in expected.split("…"))
        assert re.fullmatch(pattern, printed, re.DOTALL), f"{command}\n{printed}"


class Shell:
    """Runs commands in a folder, on the database of the test in place of the page's."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        scripts = Path(sys.executable).parent
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENTDB_")}
        self.environment = {**kept, "PATH": f"{scripts}{os.pathsep}{kept['PATH']}"}

    def run(self, command: str) -> str:
        """Run one command, and return what it printed as its result."""
        if command.startswith("export "):
            self.environment.update(self._exported(command))
            return ""
        result = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", command],
            check=False,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in result.stderr, result.stderr
        return result.stdout

    def _exported(self, command: str) -> Iterator[tuple[str, str]]:
        name, _, value = command.removeprefix("export ").partition("=")
        yield name, self.url if name == "AGENTDB_DATABASE_URL" else value


def test_the_destination_of_the_examples_is_that_of_the_tests() -> None:
    """The pages store where these tests do, so that one can be read with the other."""
    assert " ".join(DESTINATION) in TEXT
