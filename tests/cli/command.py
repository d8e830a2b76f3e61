"""Running the command in this process, and making the streams that it reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from agentdb.cli import main

DESTINATION = ("--tenant", "acme", "--conversation", "support-42")
"""Where most tests store and read."""


def agentdb(*arguments: str | Path, url: str | None = None, configured: bool = False) -> Result:
    """Run the command; an exception that it does not report itself fails the test.

    Args:
        arguments: What follows the name of the command.
        url: Database of the command.
        configured: Leave AGENTDB_DATABASE_URL to the command.
    """
    before = () if url is None else ("--url", url)
    unset = {} if configured else {"AGENTDB_DATABASE_URL": None}
    runner = CliRunner(env={"COLUMNS": "200", **unset}, catch_exceptions=False)
    return runner.invoke(main, [*before, *map(str, arguments)])


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


def sentence(result: Result) -> str:
    """Return the one line in which a command has told why it failed."""
    assert (result.exit_code, result.stdout) == (1, "")

    (line,) = result.stderr.splitlines()
    return line.removeprefix("Error: ")
