"""Indexes built concurrently, while others wait to upgrade, and after a build was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from agentdb import migrate
from tests.migrate.later import LaterRelease
from tests.migrations.crowd import Crowd, Job, Outcome, run
from tests.migrations.dumps import versions
from tests.migrations.polling import eventually
from tests.migrations.server import invalid_indexes, is_valid, lock_holders, plain
from tests.sizes import Size

NEW = "9001"
HEAD = migrate.heads()[0]
INDEX = "ix_users_created_at"
UP = f'create_index_concurrently(op, "{INDEX}", "users", ["created_at"])'
IMPORT = "from agentdb.migrate.indexes import create_index_concurrently"
WRITE = "UPDATE users SET updated_at = updated_at"

pytestmark = pytest.mark.agentdb_only("postgres")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The migrations and one that builds an index concurrently."""
    release = LaterRelease(tmp_path)
    release.add(NEW, UP, imports=IMPORT, atomic=False)
    return release.folder


@pytest.fixture
def server(agentdb_url: str) -> Iterator[psycopg.Connection]:
    """A connection to look with."""
    with psycopg.connect(plain(agentdb_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def writer(agentdb_url: str) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that wrote to the table, which a concurrent build waits for."""
    with psycopg.connect(plain(agentdb_url)) as connection:
        connection.execute(WRITE)
        yield connection


def assert_built(server: psycopg.Connection, url: str, outcomes: list[Outcome]) -> None:
    """One process built the index, all ended well, and no half of one is left."""
    assert {outcome.exit_code for outcome in outcomes} == {0}, outcomes
    assert [outcome.applied for outcome in outcomes if outcome.applied] == [[NEW]]
    assert is_valid(server, INDEX)
    assert invalid_indexes(server) == []
    assert versions(url) == [NEW]


def test_an_index_is_built_while_many_wait_to_upgrade(
    agentdb_url: str, scripts: Path, server: psycopg.Connection, size: Size
) -> None:
    """The build waits for every open snapshot, and those who wait for it hold none."""
    outcomes = run(*[Job(url=agentdb_url, scripts=scripts)] * size(16, full=64))

    assert_built(server, agentdb_url, outcomes)


def test_an_index_is_built_as_soon_as_a_writer_commits(
    agentdb_url: str,
    scripts: Path,
    server: psycopg.Connection,
    writer: psycopg.Connection,
    size: Size,
) -> None:
    """While the build waits for the writer, the lock is held without a snapshot."""
    jobs = [Job(url=agentdb_url, scripts=scripts)] * size(16, full=64)
    with Crowd(jobs) as crowd:
        eventually(lambda: is_valid(server, INDEX) is False)
        (holder,) = lock_holders(server)
        activity = "SELECT backend_xid, backend_xmin FROM pg_stat_activity WHERE pid = %s"
        assert server.execute(activity, (holder,)).fetchone() == (None, None)
        writer.commit()
        outcomes = crowd.outcomes()

    assert_built(server, agentdb_url, outcomes)


def test_what_a_killed_build_left_is_dropped_and_built_again(
    agentdb_url: str, scripts: Path, server: psycopg.Connection, writer: psycopg.Connection
) -> None:
    """Process and server process are both killed in the middle: an INVALID index stays behind."""
    with Crowd([Job(url=agentdb_url, scripts=scripts)]) as crowd:
        eventually(lambda: is_valid(server, INDEX) is False)
        crowd.kill()
    (builder,) = eventually(lambda: builders(server))
    server.execute("SELECT pg_terminate_backend(%s)", (builder,))
    eventually(lambda: not builders(server))
    writer.commit()
    assert invalid_indexes(server) == [INDEX]
    assert versions(agentdb_url) == [HEAD]

    assert_built(server, agentdb_url, run(Job(url=agentdb_url, scripts=scripts)))


def test_a_build_that_waits_for_a_writer_who_never_ends_gives_up(
    agentdb_url: str, scripts: Path, server: psycopg.Connection, writer: psycopg.Connection
) -> None:
    """The patience holds for it too, and when the writer has ended the next one finishes."""
    (outcome,) = run(Job(url=agentdb_url, scripts=scripts, wait=0.5))
    assert outcome.error == "DeadlineError"
    assert versions(agentdb_url) == [HEAD]
    writer.commit()

    assert_built(server, agentdb_url, run(Job(url=agentdb_url, scripts=scripts)))


def test_a_build_that_outlives_its_process_does_not_stop_the_next(
    agentdb_url: str, scripts: Path, server: psycopg.Connection, writer: psycopg.Connection
) -> None:
    """The server goes on with the build of a client that is gone; the next waits and finishes."""
    with Crowd([Job(url=agentdb_url, scripts=scripts)]) as crowd:
        eventually(lambda: is_valid(server, INDEX) is False)
        crowd.kill()
    with Crowd([Job(url=agentdb_url, scripts=scripts)]) as next_one:
        eventually(lambda: waits_for_a_lock(server))
        writer.commit()
        outcomes = next_one.outcomes()

    assert_built(server, agentdb_url, outcomes)


def test_an_index_that_was_built_before_the_version_was_recorded_is_kept(
    agentdb_url: str, scripts: Path, server: psycopg.Connection
) -> None:
    """Only what is not valid is built again."""
    server.execute(f"CREATE INDEX {INDEX} ON users (created_at)".encode())
    identity = "SELECT %s::regclass::oid"
    before = server.execute(identity, (INDEX,)).fetchone()

    assert_built(server, agentdb_url, run(Job(url=agentdb_url, scripts=scripts)))
    assert server.execute(identity, (INDEX,)).fetchone() == before


def test_the_index_goes_into_the_schema_of_its_table(agentdb_empty_url: str, scripts: Path) -> None:
    """The same name may be taken in another schema."""
    jobs = [Job(url=agentdb_empty_url, scripts=scripts, schema=name) for name in ("one", "Two")]
    outcomes = run(*jobs)

    assert [outcome.exit_code for outcome in outcomes] == [0, 0], outcomes
    with psycopg.connect(plain(agentdb_empty_url)) as connection:
        query = "SELECT schemaname FROM pg_indexes WHERE indexname = %s ORDER BY schemaname"
        assert connection.execute(query, (INDEX,)).fetchall() == [("Two",), ("one",)]


def builders(server: psycopg.Connection) -> list[int]:
    """Return the backends that build an index."""
    return [pid for (pid,) in server.execute("SELECT pid FROM pg_stat_progress_create_index")]


def waits_for_a_lock(server: psycopg.Connection) -> bool:
    """Whether a DROP INDEX waits for a build to end."""
    query = r"""
        SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query ~ '^\s*DROP INDEX'
    """
    (count,) = server.execute(query).fetchone() or (0,)
    return bool(count)
