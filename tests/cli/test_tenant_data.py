"""Tenants are moved and erased by the command."""

from __future__ import annotations

import stat
from pathlib import Path

from click.testing import Result

from tests.cli.command import agentdb, frame, rows, write_stream


def store(url: str, folder: Path) -> None:
    """Store a stream of the tenant ``acme``."""
    file = folder / "stream.ndjson"
    write_stream(file, [frame(1), frame(2)])
    where = ("--tenant", "acme", "--conversation", "support-42", "--create")
    assert agentdb("ingest", file, *where, url=url).exit_code == 0


def counts(result: Result) -> dict[str, int]:
    """Return the rows that a command has told of, by table."""
    assert result.exit_code == 0, result.output
    return {table: int(count) for table, count in rows(result)}


def test_a_tenant_is_exported_erased_and_imported(agentdb_url: str, tmp_path: Path) -> None:
    """Each tells the same rows, and what comes back is replayed as before."""
    store(agentdb_url, tmp_path)
    replay = ("replay", "--tenant", "acme", "--conversation", "support-42")
    before = agentdb(*replay, url=agentdb_url).stdout
    file = tmp_path / "acme.jsonl"
    out = agentdb("tenant", "export", "acme", "-o", file, "--unredacted", url=agentdb_url)
    assert counts(out)["conversation_ledger_events"] == 2
    told = agentdb("tenant", "erase", "acme", "--dry-run", url=agentdb_url)
    assert counts(told) == counts(out)
    assert agentdb(*replay, url=agentdb_url).stdout == before
    assert counts(agentdb("tenant", "erase", "acme", "--yes", url=agentdb_url)) == counts(out)
    assert agentdb(*replay, url=agentdb_url).exit_code == 1
    assert counts(agentdb("tenant", "import", file, url=agentdb_url)) == counts(out)
    assert agentdb(*replay, url=agentdb_url).stdout == before


def test_the_file_is_for_its_owner_alone(agentdb_url: str, tmp_path: Path) -> None:
    """An export holds what a tenant would not show to other users of the machine."""
    store(agentdb_url, tmp_path)
    file = tmp_path / "acme.jsonl"
    counts(agentdb("tenant", "export", "acme", "-o", file, url=agentdb_url))
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_a_failed_export_leaves_the_old_file(agentdb_url: str, tmp_path: Path) -> None:
    """A file is replaced by a whole one alone, and no part of another is left beside it."""
    file = tmp_path / "acme.jsonl"
    file.write_text("old")
    unknown = "00000000-0000-7000-8000-000000000000"
    result = agentdb("tenant", "export", unknown, "-o", file, url=agentdb_url)
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "old"


def test_an_export_into_no_folder_is_refused(agentdb_url: str, tmp_path: Path) -> None:
    """In one sentence."""
    store(agentdb_url, tmp_path)
    file = tmp_path / "none" / "acme.jsonl"
    result = agentdb("tenant", "export", "acme", "-o", file, url=agentdb_url)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_nothing_is_erased_without_an_answer(agentdb_url: str, tmp_path: Path) -> None:
    """Without a terminal there is nobody to ask: it tells what would go, and refuses."""
    store(agentdb_url, tmp_path)
    told = counts(agentdb("tenant", "erase", "acme", "--dry-run", url=agentdb_url))
    result = agentdb("tenant", "erase", "acme", url=agentdb_url)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert counts(agentdb("tenant", "erase", "acme", "--dry-run", url=agentdb_url)) == told


def test_a_file_that_is_no_export_is_refused(agentdb_url: str, tmp_path: Path) -> None:
    """Whatever is in it."""
    for content in (b"", b"{}\n", b"no JSON\n", b"\xff\xfe\n"):
        file = tmp_path / "bad.jsonl"
        file.write_bytes(content)
        result = agentdb("tenant", "import", file, url=agentdb_url)
        assert result.exit_code == 1, content
        assert len(result.stderr.splitlines()) == 1


def test_an_unknown_tenant_is_told(agentdb_url: str, tmp_path: Path) -> None:
    """By each command that names one."""
    for command in (("export", "acme", "-o", tmp_path / "a"), ("erase", "acme", "--yes")):
        result = agentdb("tenant", *command, url=agentdb_url)
        assert result.exit_code == 1
        assert "no tenant" in result.stderr
