"""What an upgrade refuses or gives up: a typed error, an exit code, and the database as before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from agentdb import migrate
from agentdb.engines import make_sync_engine
from agentdb.errors import AgentDBError, DeadlineError, SchemaVersionError, UnavailableError
from agentdb.migrate.locks import key_of
from agentdb.settings import Settings
from tests.cli.command import agentdb
from tests.migrate.later import LaterRelease
from tests.migrations.crowd import Crowd, Job
from tests.migrations.dumps import dump, versions
from tests.migrations.polling import eventually
from tests.migrations.server import plain, waits_for

NEW = "9001"
ALL = [step.revision for step in migrate.history()]
SCHEMA, UNREACHABLE, GAVE_UP = 3, 4, 5
SOON = migrate.Limits(wait=0.3, lock_timeout=0.1)
ADD_COLUMN = 'op.add_column("users", sa.Column("nickname", sa.String(8), nullable=True))'


@pytest.fixture
def behind(agentdb_empty_url: str) -> str:
    """A database that lacks the last revision."""
    migrate.upgrade(agentdb_empty_url, ALL[-2])
    return agentdb_empty_url


def assert_refused(url: str, error: type[AgentDBError], code: int, *arguments: str) -> None:
    """The function raises, the command ends with the code, and neither changes anything."""
    before = dump(url), migrate.current(url)
    with pytest.raises(error):
        migrate.upgrade(url, *arguments, limits=SOON)
    wait = ("--wait", str(SOON.wait), "--lock-timeout", str(SOON.lock_timeout))
    result = agentdb("upgrade", *wait, *arguments, url=url)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert (dump(url), migrate.current(url)) == before


@pytest.mark.parametrize("revision", ["nonsense", "9999", "", "0.0", "0001:0002", "head; DROP"])
def test_a_revision_that_does_not_exist_is_refused(behind: str, revision: str) -> None:
    """Whatever was typed, nothing is applied."""
    assert_refused(behind, SchemaVersionError, SCHEMA, revision)


def test_a_target_behind_the_data_is_refused(behind: str) -> None:
    """An upgrade never goes back."""
    assert_refused(behind, SchemaVersionError, SCHEMA, ALL[0])


def test_a_database_of_a_newer_release_is_refused(agentdb_url: str) -> None:
    """Its revision is unknown here, and stays."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        connection.exec_driver_sql("UPDATE agentdb_version SET version_num = '9999'")

    assert_refused(agentdb_url, SchemaVersionError, SCHEMA)


@pytest.mark.agentdb_only("postgres")
def test_a_database_that_takes_no_writes_is_refused(behind: str) -> None:
    """A standby, or a role that may only read."""
    with psycopg.connect(plain(behind), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())

    assert_refused(behind, UnavailableError, UNREACHABLE)


@pytest.mark.agentdb_only("sqlite")
def test_a_file_that_takes_no_writes_is_refused(behind: str) -> None:
    """A file of somebody else, or on a disk that is mounted read-only."""
    file = behind.removeprefix("sqlite:///")

    assert_refused(f"sqlite:///file:{file}?mode=ro&uri=true", UnavailableError, UNREACHABLE)


@pytest.fixture
def lock_taken(behind: str) -> Iterator[None]:
    """Somebody who holds what an upgrader needs, and never gives it up."""
    with make_sync_engine(behind, Settings()).connect() as connection:
        key = key_of(connection) if connection.dialect.name == "postgresql" else None
        with connection.begin():  # on SQLite this is BEGIN IMMEDIATE
            if key is not None:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")
            yield


@pytest.mark.usefixtures("lock_taken")
def test_a_lock_that_is_never_given_up_ends_the_patience(behind: str) -> None:
    """Of another upgrader on PostgreSQL, of any writer on SQLite."""
    assert_refused(behind, DeadlineError, GAVE_UP)


@pytest.fixture
def later(tmp_path: Path) -> LaterRelease:
    """A release with a revision that locks a table, if only for a moment."""
    release = LaterRelease(tmp_path)
    release.add(NEW, ADD_COLUMN)
    return release


@pytest.fixture
def reader(agentdb_url: str) -> Iterator[psycopg.Connection]:
    """A connection in a long transaction that has read the table."""
    with psycopg.connect(plain(agentdb_url)) as connection:
        connection.execute("SELECT count(*) FROM users")
        yield connection


@pytest.mark.agentdb_only("postgres")
@pytest.mark.usefixtures("reader")
def test_a_reader_that_never_ends_ends_the_patience(
    agentdb_url: str, later: LaterRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock on its table is tried for, and given up."""
    later.install(monkeypatch)

    assert_refused(agentdb_url, DeadlineError, GAVE_UP)


@pytest.mark.agentdb_only("postgres")
def test_other_readers_pass_an_upgrade_that_waits_for_a_long_one(
    agentdb_url: str, later: LaterRelease, reader: psycopg.Connection
) -> None:
    """They queue behind the lock that it asks for, and it stops asking before it asks again."""
    with (
        psycopg.connect(plain(agentdb_url), autocommit=True) as other,
        Crowd([Job(url=agentdb_url, scripts=later.folder)]) as crowd,
    ):
        for _ in range(3):
            eventually(lambda: waits_for(other, "users"))
            # Would it go on asking, this would wait for as long as the long reader reads.
            other.execute("SELECT count(*) FROM users")
        assert versions(agentdb_url) == ALL[-1:]
        reader.rollback()
        (outcome,) = crowd.outcomes()

    assert (outcome.exit_code, outcome.applied) == (0, [NEW])


@contextmanager
def full_disk() -> Generator[None]:
    """A disk with room for a few pages more than each database has."""

    def limit(connection: Any, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 5}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("done", [0, 1, len(ALL) - 6])
def test_a_full_disk_leaves_the_file_as_it_was(agentdb_empty_url: str, done: int) -> None:
    """Wherever the space ends, all of the run is undone; with space again it goes through."""
    if done:
        migrate.upgrade(agentdb_empty_url, ALL[done - 1])
    with full_disk():
        assert_refused(agentdb_empty_url, UnavailableError, UNREACHABLE)
    with make_sync_engine(agentdb_empty_url, Settings()).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]

    assert len(migrate.upgrade(agentdb_empty_url)) == len(ALL) - done
