"""What a database is to this release, and whether a service may start on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from agentdb import migrate
from agentdb.errors import DeadlineError, SchemaVersionError, UnavailableError
from agentdb.migrate import State
from agentdb.migrate.connections import connected
from agentdb.version import VERSION_TABLE
from tests.migrate.later import LaterRelease

HEAD = migrate.heads()[0]


def execute(url: str, *statements: str) -> None:
    """Run statements on a database."""
    with connected(url) as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))


def mark(url: str, revision: str) -> None:
    """Write a revision into the database."""
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")


def refused(url: str, state: State, match: str) -> None:
    """Require a verdict that keeps a service from starting, and an upgrade from running."""
    found = migrate.verdict(url)
    assert (found.state, found.safe) == (state, False)
    assert match in found.detail
    with pytest.raises(SchemaVersionError, match=match):
        migrate.require_current(url)


def test_an_upgraded_database_is_current(agentdb_url: str) -> None:
    """Nothing is pending, and a service may start."""
    found = migrate.require_current(agentdb_url)

    assert (found.state, found.revision, found.head) == (State.CURRENT, HEAD, HEAD)
    assert found.pending == ()


def test_an_empty_database_is_behind_by_all(agentdb_empty_url: str) -> None:
    """Every revision is pending; asking made nothing."""
    refused(agentdb_empty_url, State.BEHIND, "agentdb upgrade")
    found = migrate.verdict(agentdb_empty_url)

    assert found.revision is None
    assert list(found.pending) == migrate.history()
    assert migrate.current(agentdb_empty_url) is None


def test_an_older_database_is_behind_by_what_it_lacks(agentdb_empty_url: str) -> None:
    """The pending revisions are named, oldest first."""
    migrate.upgrade(agentdb_empty_url, "0014")

    refused(agentdb_empty_url, State.BEHIND, "lacks 0015, 0016")
    pending = migrate.verdict(agentdb_empty_url).pending
    assert [step.revision for step in pending] == ["0015", "0016"]


def test_a_newer_database_that_only_grew_is_safe(agentdb_url: str) -> None:
    """During a rolling deploy the release before goes on, but does not touch the schema."""
    mark(agentdb_url, "0099")

    found = migrate.require_current(agentdb_url)
    assert (found.state, found.safe) == (State.AHEAD, True)
    for call in (migrate.upgrade, migrate.pending, migrate.check):
        with pytest.raises(SchemaVersionError, match="0099"):
            call(agentdb_url)
    assert migrate.current(agentdb_url) == "0099"


@pytest.mark.parametrize(("floor", "safe"), [("0001", True), (HEAD, True), ("0017", False)])
def test_a_newer_database_tells_who_can_work_with_it(
    agentdb_url: str, floor: str, safe: bool
) -> None:
    """Once something was taken away, the number says which head is the oldest that works."""
    mark(agentdb_url, f"0099_{floor}")
    if safe:
        assert migrate.require_current(agentdb_url).state is State.AHEAD
    else:
        refused(agentdb_url, State.AHEAD, "took away")


@pytest.mark.parametrize("revision", ["9f3c2ab41d77", "0007x", "", "0000", "0016_0003"])
def test_a_revision_of_somebody_else_is_foreign(agentdb_url: str, revision: str) -> None:
    """A version table with what no release of ours writes is refused by every call."""
    mark(agentdb_url, revision)

    refused(agentdb_url, State.FOREIGN, "no revision of agentdb")
    for call in (migrate.upgrade, migrate.check, migrate.pending):
        with pytest.raises(SchemaVersionError, match="no revision of agentdb"):
            call(agentdb_url)
    with pytest.raises(SchemaVersionError, match="no revision of agentdb"):
        migrate.downgrade(agentdb_url, "base")
    assert migrate.current(agentdb_url) == revision


def test_two_revisions_at_once_are_refused(agentdb_url: str) -> None:
    """A merged or damaged version table is told apart from any state of ours."""
    execute(agentdb_url, f"INSERT INTO {VERSION_TABLE} VALUES ('0002')")

    for call in (migrate.verdict, migrate.upgrade, migrate.current):
        with pytest.raises(SchemaVersionError, match="several revisions"):
            call(agentdb_url)


def test_a_host_table_of_our_name_is_foreign(agentdb_empty_url: str) -> None:
    """An unrelated table called users is not taken for ours, nor touched."""
    execute(agentdb_empty_url, "CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT)")

    refused(agentdb_empty_url, State.FOREIGN, "users")
    with pytest.raises(SchemaVersionError, match="not ours: users"):
        migrate.upgrade(agentdb_empty_url)
    assert migrate.current(agentdb_empty_url) is None


def test_our_tables_without_a_revision_are_unmanaged(agentdb_url: str) -> None:
    """Tables made by other means are to be adopted, not built over."""
    execute(
        agentdb_url, f"DROP TABLE {VERSION_TABLE}", "ALTER TABLE user_profiles DROP COLUMN locale"
    )

    refused(agentdb_url, State.UNMANAGED, "agentdb adopt")
    with pytest.raises(SchemaVersionError, match="agentdb adopt"):
        migrate.upgrade(agentdb_url)


def test_a_revision_without_its_tables_is_refused(agentdb_empty_url: str) -> None:
    """A database that was stamped, or lost a table, is not started on."""
    migrate.stamp(agentdb_empty_url, "head")

    refused(agentdb_empty_url, State.FOREIGN, "has no table")


def test_tables_of_a_host_change_no_verdict(agentdb_url: str) -> None:
    """What lies beside our tables is the host's business."""
    execute(agentdb_url, "CREATE TABLE host_things (id INTEGER PRIMARY KEY)")

    assert migrate.verdict(agentdb_url).state is State.CURRENT


def test_waiting_ends_when_the_database_is_there(agentdb_empty_url: str) -> None:
    """A replica that starts before the upgrade goes on as soon as it is done."""
    told: list[str] = []

    def upgrade(sentence: str) -> None:
        told.append(sentence)
        migrate.upgrade(agentdb_empty_url)

    found = migrate.wait(agentdb_empty_url, timeout=60, progress=upgrade)
    assert found.state is State.CURRENT
    assert len(told) == 1
    assert "agentdb upgrade" in told[0]


def test_waiting_ends_with_the_reason(agentdb_empty_url: str) -> None:
    """After the time-out the error tells what was missing."""
    with pytest.raises(DeadlineError, match=r"no revision.*gave up after 0 s"):
        migrate.wait(agentdb_empty_url, timeout=0)


def test_waiting_bears_a_database_that_is_down() -> None:
    """A server that cannot be reached is waited for, and named as the reason in the end."""
    url = "postgresql://nobody:hidden@127.0.0.1:1/none"
    with pytest.raises(UnavailableError):
        migrate.verdict(url)
    with pytest.raises(DeadlineError, match="cannot be reached") as refusal:
        migrate.wait(url, timeout=0)
    assert "hidden" not in str(refusal.value)


def test_a_later_release_finds_this_one_behind(
    agentdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is current for one release is behind for the next."""
    release = LaterRelease(tmp_path)
    release.add("0901")
    release.install(monkeypatch)

    refused(agentdb_url, State.BEHIND, "lacks 0901")
