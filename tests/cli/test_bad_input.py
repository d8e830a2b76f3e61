"""Databases that cannot be used: one clear sentence, nothing half-written, no password."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from sqlalchemy import make_url

from tests.cli.command import DESTINATION, agentdb, frame, sentence, write_stream

PASSWORD = "correct-horse-battery"
NOWHERE = f"postgresql://somebody:{PASSWORD}@127.0.0.1:1/nowhere"


def current(url: str, _: Path) -> Result:
    """Run a command of the schema."""
    return agentdb("current", url=url)


def upgrade(url: str, _: Path) -> Result:
    """Run a command that writes to the schema."""
    return agentdb("upgrade", url=url)


def ingest(url: str, folder: Path) -> Result:
    """Run a command of the data."""
    stream = write_stream(folder / "s.ndjson", [frame()])
    return agentdb("ingest", stream, *DESTINATION, "--create", url=url)


def replay(url: str, _: Path) -> Result:
    """Run a command that only reads data."""
    return agentdb("replay", *DESTINATION, url=url)


def demo(url: str, _: Path) -> Result:
    """Run the demonstration."""
    return agentdb("demo", url=url)


COMMANDS = (current, upgrade, ingest, replay, demo)
Command = Callable[[str, Path], Result]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("url", "reason", "code"),
    [
        (
            f"mysql://root:{PASSWORD}@localhost/x",
            "agentdb speaks postgresql://… or sqlite://…, not mysql://",
            1,
        ),
        (PASSWORD, "the database URL cannot be parsed", 1),
        (f"postgresql://a:{PASSWORD}@localhost:port/x", "the database URL cannot be parsed", 1),
        (NOWHERE, "the database cannot be reached", 4),
    ],
)
def test_urls_that_lead_nowhere(
    command: Command, url: str, reason: str, code: int, tmp_path: Path
) -> None:
    """An unknown scheme, no URL, a bad port and a refused connection are told in one sentence."""
    result = command(url, tmp_path)

    assert reason == sentence(result, code)
    assert PASSWORD not in result.output


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_log_in_that_the_server_refuses(
    command: Command, agentdb_empty_url: str, tmp_path: Path
) -> None:
    """A password that was tried in vain is printed nowhere, the role neither."""
    url = make_url(agentdb_empty_url).set(username="somebody", password=PASSWORD)

    result = command(url.render_as_string(hide_password=False), tmp_path)

    assert sentence(result, 4).startswith("the database ")
    assert PASSWORD not in result.output
    assert "somebody" not in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_driver(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not installed is named."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    assert sentence(command(NOWHERE, tmp_path)) == "the driver for postgresql is not installed"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_folder(command: Command, tmp_path: Path) -> None:
    """SQLite makes a file, never a folder."""
    result = command(f"sqlite:///{tmp_path}/missing/a.db", tmp_path)

    assert sentence(result, 4) == "the database file cannot be opened"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_in_place_of_the_file(command: Command, tmp_path: Path) -> None:
    """What may not be opened is not opened: root, too, cannot read a folder as a file."""
    result = command(f"sqlite:///{tmp_path}", tmp_path)

    assert sentence(result, 4) == "the database file cannot be opened"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_no_database(command: Command, tmp_path: Path) -> None:
    """Somebody's notes stay as they are."""
    notes = tmp_path / "notes.txt"
    notes.write_text("These are notes, and no database at all. " * 100)
    before = notes.read_bytes()

    result = command(f"sqlite:///{notes}", tmp_path)

    assert sentence(result) == "the file is not a SQLite database"
    assert before == notes.read_bytes()


@pytest.mark.parametrize("command", [ingest, replay])
def test_a_database_that_is_behind(
    command: Command, agentdb_empty_url: str, tmp_path: Path
) -> None:
    """Whoever forgot the upgrade is told its name."""
    assert "run `agentdb upgrade`" in sentence(command(agentdb_empty_url, tmp_path), 3)


def test_an_upgrade_leaves_a_foreign_database_alone(agentdb_empty_url: str) -> None:
    """A host's own table of one of our names is neither taken over nor surrounded by ours."""
    url = make_url(agentdb_empty_url)
    if url.get_backend_name() == "sqlite":
        assert url.database is not None
        foreign: sqlite3.Connection | psycopg.Connection = sqlite3.connect(url.database)
        listing = "SELECT name FROM sqlite_master"
    else:
        foreign = psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
        listing = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    foreign.execute("CREATE TABLE users (name text)")
    foreign.commit()

    refused = sentence(agentdb("upgrade", url=agentdb_empty_url), 3)

    assert refused == "the database has tables of our names that are not ours: users"
    assert foreign.execute(listing).fetchall() == [("users",)]
    foreign.close()
