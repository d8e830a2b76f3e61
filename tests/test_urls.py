from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from agentdb import Database
from agentdb.errors import ConfigurationError
from agentdb.urls import async_url, is_memory, sync_url

POSTGRES = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg_async"]
SQLITE = ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"]


@pytest.mark.parametrize("scheme", POSTGRES)
def test_every_spelling_of_postgresql_means_our_driver(scheme: str) -> None:
    """Only the driver changes: user, password, host, database and options stay."""
    url = f"{scheme}://me:p%40ss@db.example:6432/agents?sslmode=require"
    rest = "me:p%40ss@db.example:6432/agents?sslmode=require"

    assert make_url(f"postgresql+psycopg://{rest}") == async_url(url) == sync_url(url)


@pytest.mark.parametrize("scheme", SQLITE)
def test_every_spelling_of_sqlite_means_our_drivers(scheme: str) -> None:
    """One driver for units of work, one for migrations, on the same file."""
    assert make_url("sqlite+aiosqlite:///a.db") == async_url(f"{scheme}:///a.db")
    assert make_url("sqlite+pysqlite:///a.db") == sync_url(f"{scheme}:///a.db")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///a.db", False),
        ("sqlite:////srv/a.db", False),
        ("postgresql://", False),
    ],
)
def test_a_database_in_memory_is_known(url: str, expected: bool) -> None:
    """It lives in its one connection."""
    assert expected is is_memory(async_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "agents.db",
        "//host/db",
        "postgresql",
        "postgresql:/host",
        "postgresql://host:port/db",
        "http://secret@host/db",
        "mysql://me:secret@host/db",
        "postgresql+asyncpg://me:secret@host/db",
        "oracle+oracledb://me:secret@host/db",
        "SQLITE:///a.db",
    ],
)
def test_other_urls_are_refused_and_not_shown(url: str) -> None:
    """The error says what is spoken, and nothing of what may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        Database(url)

    assert "secret" not in f"{caught.value}{caught.value!r}"
    assert caught.value.__cause__ is None


def test_the_environment_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """``AGENTDB_DATABASE_URL`` alone; the host's ``DATABASE_URL`` is the host's."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/hosts")
    monkeypatch.setenv("AGENTDB_DATABASE_URL", "postgres://me@db/agents")
    assert make_url("postgresql+psycopg://me@db/agents") == Database.from_env().url

    monkeypatch.setenv("AGENTDB_DATABASE_URL", "")
    assert make_url("sqlite+aiosqlite:///agentdb.sqlite3") == Database.from_env().url
    monkeypatch.delenv("AGENTDB_DATABASE_URL")
    assert make_url("sqlite+aiosqlite:///agentdb.sqlite3") == Database.from_env().url


def test_a_password_is_not_shown() -> None:
    """Neither by the repr of a Database nor by its str."""
    database = Database("postgresql://me:hunter2@db/agents")

    assert "hunter2" not in f"{database}{database!r}"
    assert "me:***@db/agents" in repr(database)


def test_nothing_connects_before_the_first_unit_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making a Database opens no socket and makes no file."""
    monkeypatch.chdir(tmp_path)
    Database("postgresql://nowhere.invalid/agents")
    Database("sqlite:///agents.db")

    assert list(tmp_path.iterdir()) == []
