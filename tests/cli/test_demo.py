"""The demonstration: the main job in one command."""

from pathlib import Path

import pytest

from agentdb.cli import demo
from agentdb.ledger.frames import read_frames
from agentdb.ledger.values import LedgerEventKind
from tests.cli.command import agentdb, sentence


def test_tells_the_whole_story_on_a_temporary_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger sees each step and its result, and nothing stays behind."""
    monkeypatch.chdir(tmp_path)

    result = agentdb("demo")

    assert (result.exit_code, result.stderr) == (0, "")
    for step in ("upgrade", "sign_up", "get_or_create", "append", "transcript", "replay"):
        assert f"{step}()" in result.stdout
    assert "16 frames, equal to those stored" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_can_be_repeated_on_one_database(agentdb_empty_url: str) -> None:
    """Each run signs up a tenant of its own, whichever database it is given."""
    for _ in range(2):
        result = agentdb("demo", "--url", agentdb_empty_url)

        assert result.exit_code == 0
        assert "16 frames, equal to those stored" in result.stdout


def test_leaves_the_configured_database_alone(tmp_path: Path) -> None:
    """AGENTDB_DATABASE_URL may name a production database: only --url is used."""
    production = {"AGENTDB_DATABASE_URL": f"sqlite:///{tmp_path}/production.db"}

    result = agentdb("demo", **production, AGENTDB_SCHEMA="production")

    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_the_packaged_stream_is_a_stream() -> None:
    """The example has the kinds that a reader of the documentation looks for."""
    frames = demo.example_frames()
    kinds = {frame["kind"] for frame in frames}

    assert len(frames) == len(read_frames(frames))
    assert kinds <= set(LedgerEventKind)
    assert {
        "lifecycle",
        "message.delta",
        "message.citation",
        "tool.status",
        "tool.output",
        "final",
    } <= kinds


def test_the_citation_of_the_packaged_stream_points_into_the_answer() -> None:
    """The example is true: deltas add up to the answer, and the citation marks its words."""
    frames = demo.example_frames()
    answer = "".join(frame["delta"] for frame in frames if frame["kind"] == "message.delta")
    (citation,) = (frame["citation"] for frame in frames if frame["kind"] == "message.citation")

    assert frames[-1]["final"]["response_text"] == answer
    assert answer[citation["start_index"] : citation["end_index"]] == "track it here"


def test_a_replay_that_differs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration proves what it says."""
    monkeypatch.setattr("agentdb.ledger.rows.LedgerFrame.payload", None)

    assert sentence(agentdb("demo")) == "the replayed frames differ from the stored ones"
