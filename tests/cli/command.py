"""Running the command in this process, and making the streams that it reads."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from agentdb.cli import main

DESTINATION = ("--tenant", "acme", "--conversation", "support-42")
"""Where most tests store and read."""


def agentdb(*arguments: str | Path, url: str | None = None, **environment: str) -> Result:
    """Run the command; a defect, which it prints as a traceback, fails the test.

    Args:
        arguments: What follows the name of the command.
        url: Database of the command.
        environment: Variables of the command, which else has none of its own.
    """
    result = run(*arguments, url=url, **environment)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def run(*arguments: str | Path, url: str | None = None, **environment: str) -> Result:
    """Run the command, whatever comes of it."""
    before = () if url is None else ("--url", url)
    unset = {name: None for name in os.environ if name.startswith("AGENTDB_")}
    runner = CliRunner(env={"COLUMNS": "200", **unset, **environment}, catch_exceptions=False)
    return runner.invoke(main, [*before, *map(str, arguments)], prog_name="agentdb")


def document(result: Result, code: int = 0) -> Any:
    """Return the one JSON document that a command has printed."""
    assert result.exit_code == code, result.output

    return json.loads(result.stdout)


def rows(result: Result) -> list[list[str]]:
    """Return the tab-separated rows that a command has printed to a pipe."""
    return [line.split("\t") for line in result.stdout.splitlines()]


def frame(event_id: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a frame; *fields* replace and add."""
    return {
        "schema": "public_sse_v1",
        "kind": "message.delta",
        "stream_id": "stream-1",
        "event_id": event_id,
        "server_timestamp": "2026-03-02T09:30:00.000Z",
        **fields,
    }


def write_stream(path: Path, frames: Iterable[object]) -> Path:
    """Write a recorded stream, one frame a line."""
    path.write_text("".join(f"{json.dumps(item)}\n" for item in frames), "utf-8")
    return path


def printed(result: Result) -> list[Any]:
    """Return the frames that a replay printed."""
    assert (result.exit_code, result.stderr.partition("cursor: ")[0]) == (0, "")

    return [json.loads(line) for line in result.stdout.splitlines()]


def cursor_of(result: Result) -> str:
    """Return the cursor that a replay printed."""
    return result.stderr.strip().removeprefix("cursor: ")


def sentence(result: Result, code: int = 1) -> str:
    """Return the one line in which a command has told why it failed, by this exit code."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output

    (line,) = result.stderr.splitlines()
    return line.removeprefix("Error: ")
