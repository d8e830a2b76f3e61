"""Storing recorded streams."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentdb.cli import ndjson
from tests.cli.command import DESTINATION, agentdb, frame, printed, sentence, write_stream


def test_stores_the_frames_of_a_new_conversation(agentdb_url: str, tmp_path: Path) -> None:
    """One command makes tenant and conversation, and stores the stream."""
    frames = [frame(1), frame(2, text="später")]
    stream = write_stream(tmp_path / "s.ndjson", frames)

    result = agentdb("ingest", stream, *DESTINATION, "--create", url=agentdb_url)

    assert (0, f"{stream}: 2 frames stored, 0 skipped\n") == (result.exit_code, result.stdout)
    assert frames == printed(agentdb("replay", *DESTINATION, url=agentdb_url))


def test_skips_what_is_stored_already(agentdb_url: str, tmp_path: Path) -> None:
    """A file that was cut short, or sent twice, can be ingested again."""
    short = write_stream(tmp_path / "short.ndjson", [frame(1)])
    whole = write_stream(tmp_path / "whole.ndjson", [frame(1), frame(2)])
    agentdb("ingest", short, *DESTINATION, "--create", url=agentdb_url)

    result = agentdb("ingest", whole, *DESTINATION, url=agentdb_url)

    assert (0, f"{whole}: 1 frames stored, 1 skipped\n") == (result.exit_code, result.stdout)


def test_stores_several_files_in_order(agentdb_url: str, tmp_path: Path) -> None:
    """A conversation of several streams is stored in one call."""
    files = [write_stream(tmp_path / f"{name}.ndjson", [frame(1, stream_id=name)]) for name in "ba"]

    assert agentdb("ingest", *files, *DESTINATION, "--create", url=agentdb_url).exit_code == 0

    stored = printed(agentdb("replay", *DESTINATION, url=agentdb_url))
    assert [item["stream_id"] for item in stored] == ["b", "a"]


def test_a_bad_file_leaves_the_ones_before_it(agentdb_url: str, tmp_path: Path) -> None:
    """Each file is stored whole or not at all, whatever comes after it."""
    good = write_stream(tmp_path / "good.ndjson", [frame(1)])
    bad = write_stream(tmp_path / "bad.ndjson", [frame(2), []])

    result = agentdb("ingest", good, bad, *DESTINATION, "--create", url=agentdb_url)

    assert (1, f"{good}: 1 frames stored, 0 skipped\n") == (result.exit_code, result.stdout)
    assert f"Error: {bad}:2: expects a JSON object\n" == result.stderr
    assert [frame(1)] == printed(agentdb("replay", *DESTINATION, url=agentdb_url))


def test_an_unknown_tenant_is_not_made_by_accident(agentdb_url: str, tmp_path: Path) -> None:
    """A misspelt slug is an error unless a new tenant was asked for."""
    stream = write_stream(tmp_path / "s.ndjson", [frame()])

    result = agentdb("ingest", stream, *DESTINATION, url=agentdb_url)

    assert sentence(result) == "there is no tenant with the slug 'acme'"


def test_empty_lines_are_no_frames(agentdb_url: str, tmp_path: Path) -> None:
    """A file may end in an empty line, and errors count it."""
    stream = write_stream(tmp_path / "s.ndjson", [frame()])
    stream.write_text(f"\n{stream.read_text()}\n \n", "utf-8")

    result = agentdb("ingest", stream, *DESTINATION, "--create", url=agentdb_url)

    assert (0, f"{stream}: 1 frames stored, 0 skipped\n") == (result.exit_code, result.stdout)


@pytest.mark.parametrize(("limit", "most"), [("MAX_FRAMES", 2), ("MAX_BYTES", 300)])
def test_a_long_file_goes_in_batches_of_one_unit(
    limit: str, most: int, agentdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of any length neither fills the memory nor is stored in part."""
    monkeypatch.setattr(ndjson, limit, most)
    frames = [frame(n) for n in range(1, 8)]
    good = write_stream(tmp_path / "good.ndjson", frames)
    bad = write_stream(tmp_path / "bad.ndjson", [*(frame(n) for n in range(8, 13)), frame(12)])

    assert agentdb("ingest", good, *DESTINATION, "--create", url=agentdb_url).exit_code == 0
    refused = sentence(agentdb("ingest", bad, *DESTINATION, url=agentdb_url))

    assert f"{bad}:6: event_id must increase within its stream" == refused
    assert frames == printed(agentdb("replay", *DESTINATION, url=agentdb_url))


BAD_LINES: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "no JSON: Expecting property name enclosed in double quotes at column 2"),
    "no object": (b"[1]", "expects a JSON object"),
    "no UTF-8": (b'{"schema": "\xff"}', "no UTF-8"),
    "nesting": (b"[" * 100_000, "nests too deep"),
    "digits": (b"9" * 5000, "a number has too many digits"),
    "missing field": ({"schema": "public_sse_v1"}, "kind is required, as text"),
    "wrong type": ({**frame(), "event_id": 2.5}, "event_id is required, as an integer"),
    "no instant": (frame(2, server_timestamp="soon"), "server_timestamp is no ISO 8601 instant"),
    "no time zone": (
        frame(2, server_timestamp="2026-03-02T09:30:00"),
        "server_timestamp needs a time zone",
    ),
    "too long": (
        frame(2, kind="x" * 65),
        "conversation_ledger_events.kind: at most 64 characters",
    ),
    "too large": (frame(2**31), "conversation_ledger_events.event_id: exceeds 32 bits"),
    "NUL": (frame(2, text="\0"), "JSON text may not contain NUL"),
    "surrogate": (frame(2, text="\ud800"), "JSON text has a lone surrogate"),
    "NaN": (frame(2, number=float("nan")), "JSON has no NaN or Infinity"),
    "repeated": (frame(1), "event_id must increase within its stream"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_malformed_line_is_named_and_nothing_is_stored(
    case: str, agentdb_url: str, tmp_path: Path
) -> None:
    """The message leads to the line; not even the tenant that it asked for is left behind."""
    line, reason = BAD_LINES[case]
    stream = write_stream(tmp_path / "s.ndjson", [frame(1)])
    if isinstance(line, bytes):
        stream.write_bytes(stream.read_bytes() + line)
    else:
        write_stream(stream, [frame(1), line])

    result = agentdb("ingest", stream, *DESTINATION, "--create", url=agentdb_url)

    assert f"{stream}:2: {reason}" == sentence(result)
    nothing = agentdb("replay", *DESTINATION, url=agentdb_url)
    assert sentence(nothing) == "there is no tenant with the slug 'acme'"


def test_a_large_frame_is_named(agentdb_url: str, tmp_path: Path) -> None:
    """A frame that a row cannot hold is refused before it is sent."""
    stream = write_stream(tmp_path / "s.ndjson", [frame(text="x" * 2**20)])

    result = agentdb("ingest", stream, *DESTINATION, "--create", url=agentdb_url)

    assert f"{stream}:1: " in sentence(result)
    assert "more than 1048576 need an object store" in sentence(result)


def test_a_terminal_sees_the_progress_of_a_long_file(tmp_path: Path) -> None:
    """Whoever waits sees how far it is; a log file gets no bar."""
    frames = [frame(n, text="x" * 1000) for n in range(1, 1200)]
    stream = write_stream(tmp_path / "long.ndjson", frames)
    database = f"sqlite:///{tmp_path}/a.db"
    agentdb("upgrade", url=database)
    command = [sys.executable, "-m", "agentdb", "--url", database, "ingest", str(stream)]
    ours, theirs = pty.openpty()

    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run(
            [*command, *DESTINATION, "--create"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
        )
        seen = terminal.read(65536)
        os.close(theirs)

    assert b"long.ndjson" in seen
