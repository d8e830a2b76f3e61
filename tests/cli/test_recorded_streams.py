"""Real input: recorded streams are stored and printed back, frame for frame equal."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import agentdb
from tests.cli.command import DESTINATION, printed
from tests.cli.command import agentdb as run

FOLDER = os.environ.get("AGENTDB_STREAMS")
OURS = Path(agentdb.__file__).parent / "data" / "demo.ndjson"
RECORDED = sorted(Path(FOLDER).glob("*.ndjson")) if FOLDER else []


def frames_of(path: Path) -> list[Any]:
    """Return the frames of a recorded stream."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("stream", [OURS, *RECORDED], ids=lambda path: path.stem)
def test_a_stream_is_printed_as_it_was_recorded(stream: Path, agentdb_url: str) -> None:
    """Each frame comes back with the same JSON, whatever fields it has."""
    recorded = frames_of(stream)

    stored = run("ingest", stream, *DESTINATION, "--create", url=agentdb_url)

    assert (0, f"{stream}: {len(recorded)} frames stored, 0 skipped\n") == (
        stored.exit_code,
        stored.stdout,
    )
    assert recorded == printed(run("replay", *DESTINATION, url=agentdb_url))


@pytest.mark.skipif(not FOLDER, reason="AGENTDB_STREAMS names no folder of recorded streams")
def test_the_folder_of_recorded_streams_is_not_empty() -> None:
    """A mistyped folder does not pass for a tested one."""
    assert RECORDED


@pytest.mark.skipif(not FOLDER, reason="AGENTDB_STREAMS names no folder of recorded streams")
def test_all_streams_fit_into_one_conversation(agentdb_url: str) -> None:
    """Streams of one conversation are told apart by their ids, and come back one by one."""
    recorded = [frame for path in RECORDED for frame in frames_of(path)]

    assert run("ingest", *RECORDED, *DESTINATION, "--create", url=agentdb_url).exit_code == 0
    assert recorded == printed(run("replay", *DESTINATION, url=agentdb_url))
