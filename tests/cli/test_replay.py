"""Printing the frames of a conversation."""

from pathlib import Path

import pytest

from agentdb.cli import replay
from tests.cli.command import (
    DESTINATION,
    agentdb,
    cursor_of,
    frame,
    printed,
    sentence,
    write_stream,
)

FRAMES = [frame(n, text=f"Nº {n}\n") for n in range(1, 6)]


@pytest.fixture
def url(agentdb_url: str, tmp_path: Path) -> str:
    """A database with a conversation of five frames."""
    stream = write_stream(tmp_path / "s.ndjson", FRAMES)
    assert agentdb("ingest", stream, *DESTINATION, "--create", url=agentdb_url).exit_code == 0
    return agentdb_url


def test_pages_through_all_frames(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation of any length is printed whole, in the order in which it was stored."""
    monkeypatch.setattr(replay, "MAX_REPLAY", 2)

    assert printed(agentdb("replay", *DESTINATION, url=url)) == FRAMES


def test_continues_after_a_cursor(url: str) -> None:
    """The cursor on stderr goes on exactly where the output ended."""
    first = agentdb("replay", *DESTINATION, "--limit", "2", url=url)
    second = agentdb("replay", *DESTINATION, "--after", cursor_of(first), url=url)
    third = agentdb("replay", *DESTINATION, "--after", cursor_of(second), url=url)

    assert FRAMES[:2] == printed(first)
    assert FRAMES[2:] == printed(second)
    assert printed(third) == []


def test_a_limit_spans_pages(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts frames, not pages."""
    monkeypatch.setattr(replay, "MAX_REPLAY", 2)

    assert FRAMES[:3] == printed(agentdb("replay", *DESTINATION, "--limit", "3", url=url))


def test_a_reader_who_has_caught_up_goes_on_later(url: str, tmp_path: Path) -> None:
    """The cursor at the end of the ledger finds what is stored afterwards."""
    end = agentdb("replay", *DESTINATION, url=url)
    later = write_stream(tmp_path / "later.ndjson", [frame(6)])
    agentdb("ingest", later, *DESTINATION, url=url)

    assert [frame(6)] == printed(
        agentdb("replay", *DESTINATION, "--after", cursor_of(end), url=url)
    )


def test_prints_server_sent_events(url: str) -> None:
    """What a browser would receive: id, event and data, an empty line after each."""
    lines = agentdb("replay", *DESTINATION, "--sse", "--limit", "2", url=url).stdout.split("\n")

    assert lines[:2] == ["id: 1", "event: message.delta"]
    assert lines[2].startswith("data: {")
    assert lines[3:6] == ["", "id: 2", "event: message.delta"]
    assert lines[7:] == ["", ""]


def test_a_kind_cannot_forge_a_field_of_an_event(url: str, tmp_path: Path) -> None:
    """Kinds are any text: a line break in one stays in its line."""
    forged = write_stream(tmp_path / "f.ndjson", [frame(kind="x\ndata: forged", stream_id="f")])
    agentdb("ingest", forged, *DESTINATION, url=url)

    assert "event: x data: forged\n" in agentdb("replay", *DESTINATION, "--sse", url=url).stdout


def test_a_cursor_of_another_conversation_is_refused(url: str, tmp_path: Path) -> None:
    """A cursor continues the query that made it and no other."""
    there = ("--tenant", "acme", "--conversation", "other")
    agentdb("ingest", write_stream(tmp_path / "o.ndjson", FRAMES), *there, url=url)
    foreign = cursor_of(agentdb("replay", *there, url=url))

    result = agentdb("replay", *DESTINATION, "--after", foreign, url=url)

    assert sentence(result) == "the cursor belongs to another query"


def test_a_damaged_cursor_is_refused(url: str) -> None:
    """What is no cursor is told to be none."""
    result = agentdb("replay", *DESTINATION, "--after", "nonsense!", url=url)

    assert sentence(result) == "the cursor is damaged"


def test_unknown_tenants_and_conversations_are_told_apart(url: str) -> None:
    """The sentence names what was not found."""
    no_tenant = agentdb("replay", "--tenant", "nobody", "--conversation", "x", url=url)
    no_conversation = agentdb("replay", "--tenant", "acme", "--conversation", "x", url=url)

    assert sentence(no_tenant) == "there is no tenant with the slug 'nobody'"
    assert sentence(no_conversation) == "the tenant 'acme' has no conversation 'x'"
