"""Enabling and disabling row-level security: what is run, what is recorded, what else goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from agentdb import migrate, rls
from agentdb.errors import (
    ConfigurationError,
    DeadlineError,
    PermissionDeniedError,
    SchemaVersionError,
)
from agentdb.migrate import Limits
from agentdb.rls import RlsState
from agentdb.rls.statements import TABLES
from agentdb.testing import RoleUrls, run_concurrently
from agentdb.urls import sync_url
from tests.migrate.later import LaterRelease

postgres = pytest.mark.agentdb_only("postgres")

DROP = ["vector_store_files", "agent_vector_stores", "vector_stores", "status_subscriptions"]
"""Tables of the last revisions, which a downgrade drops."""


def connect(url: str) -> psycopg.Connection:
    """Connect by the driver alone."""
    plain = sync_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def test_all_tables_come_under_their_policies(agentdb_role_urls: RoleUrls) -> None:
    """Each of them, for its owner too, with the policies of this release."""
    found = rls.status(agentdb_role_urls.app)

    assert [table.table for table in found.tables] == list(TABLES)
    assert [table.table for table in found.tables if not table.is_complete] == []
    assert found.state is RlsState.ENABLED
    assert found.recorded


def test_a_second_call_runs_nothing(agentdb_role_urls: RoleUrls) -> None:
    """So it may run at each deployment: no table is locked."""
    assert rls.enable(agentdb_role_urls.owner) == []
    assert rls.disable(agentdb_role_urls.owner) != []
    assert rls.disable(agentdb_role_urls.owner) == []


def test_what_was_enabled_is_gone_when_it_is_disabled(agentdb_role_urls: RoleUrls) -> None:
    """The catalogue holds no policy, and no table knows of row-level security."""
    rls.disable(agentdb_role_urls.owner)

    found = rls.status(agentdb_role_urls.app)
    with connect(agentdb_role_urls.superuser) as connection:
        policies = connection.execute("SELECT count(*) FROM pg_policy").fetchone()
    assert found.state is RlsState.DISABLED
    assert not found.recorded
    assert policies == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP POLICY agentdb_tenant ON agent_messages",
        "ALTER POLICY agentdb_tenant ON agent_messages USING (true)",
        "ALTER POLICY agentdb_tenant ON agent_messages WITH CHECK (true)",
        "ALTER POLICY agentdb_tenant ON agent_messages TO CURRENT_USER",
        "ALTER TABLE agent_messages DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE agent_messages NO FORCE ROW LEVEL SECURITY",
        "ALTER POLICY agentdb_shared ON billing_plans USING (false)",
        "ALTER TABLE stripe_events DISABLE ROW LEVEL SECURITY",
    ],
)
def test_what_was_damaged_is_seen_and_repaired(agentdb_role_urls: RoleUrls, damage: str) -> None:
    """The status names the table, and enabling again runs what it takes, and no more."""
    with connect(agentdb_role_urls.owner) as connection:
        connection.execute(damage.encode())

    before = rls.status(agentdb_role_urls.app)
    run = rls.enable(agentdb_role_urls.owner)

    (broken,) = [table.table for table in before.tables if not table.is_complete]
    assert before.state is RlsState.INCOMPLETE
    assert broken in damage
    assert run
    assert all(broken in statement for statement in run)
    assert rls.status(agentdb_role_urls.app).state is RlsState.ENABLED


def test_all_is_one_transaction(agentdb_role_urls: RoleUrls) -> None:
    """Who may not change the last table has changed none."""
    rls.disable(agentdb_role_urls.owner)
    with connect(agentdb_role_urls.superuser) as connection:
        connection.execute(f"ALTER TABLE {TABLES[-1]} OWNER TO CURRENT_USER".encode())

    with pytest.raises(PermissionDeniedError):
        rls.enable(agentdb_role_urls.owner)

    assert rls.status(agentdb_role_urls.app).state is RlsState.DISABLED


def test_the_application_may_not_disable_it(agentdb_role_urls: RoleUrls) -> None:
    """Nor the platform: neither owns a table."""
    for url in (agentdb_role_urls.app, agentdb_role_urls.platform):
        with pytest.raises(PermissionDeniedError):
            rls.disable(url)

    assert rls.status(agentdb_role_urls.app).state is RlsState.ENABLED


async def test_concurrent_calls_wait_for_each_other(agentdb_role_urls: RoleUrls) -> None:
    """Of eight at once one enables it; the others find nothing to do, and none fails."""
    rls.disable(agentdb_role_urls.owner)

    async def call(_: int) -> list[str]:
        return await asyncio.to_thread(rls.enable, agentdb_role_urls.owner)

    outcomes = await run_concurrently(8, call)

    assert outcomes.errors == []
    assert sorted(map(bool, outcomes.results)) == [False] * 7 + [True]


def test_a_table_in_use_is_waited_for(agentdb_role_urls: RoleUrls) -> None:
    """Readers are not blocked for longer than a lock time-out; the patience ends with an error."""
    rls.disable(agentdb_role_urls.owner)
    limits = Limits(wait=0.3, lock_timeout=0.05)
    with connect(agentdb_role_urls.superuser) as reader, reader.transaction():
        reader.execute("SELECT FROM users")
        with pytest.raises(DeadlineError):
            rls.enable(agentdb_role_urls.owner, limits=limits)
    assert rls.status(agentdb_role_urls.app).state is RlsState.DISABLED

    rls.enable(agentdb_role_urls.owner, limits=limits)

    assert rls.status(agentdb_role_urls.app).state is RlsState.ENABLED


def test_tables_that_a_migration_makes_come_under_policies(agentdb_role_urls: RoleUrls) -> None:
    """In the transaction that makes them: the downgrade dropped some, the upgrade makes them."""
    owner = agentdb_role_urls.owner
    migrate.downgrade(owner, "0014")
    with connect(agentdb_role_urls.superuser) as connection:
        left = {row[0] for row in connection.execute("SELECT relname FROM pg_class").fetchall()}
    assert left.isdisjoint(DROP)

    migrate.upgrade(owner)

    found = rls.status(owner)
    assert found.state is RlsState.ENABLED
    assert {"vector_stores", "status_subscriptions"} < {table.table for table in found.tables}


def test_a_migration_of_an_open_database_enables_nothing(agentdb_role_urls: RoleUrls) -> None:
    """What was disabled stays disabled."""
    rls.disable(agentdb_role_urls.owner)
    migrate.downgrade(agentdb_role_urls.owner, "0014")

    migrate.upgrade(agentdb_role_urls.owner)

    assert rls.status(agentdb_role_urls.owner).state is RlsState.DISABLED


def test_a_migration_never_overlooks_rows_that_are_hidden_from_it(
    agentdb_role_urls: RoleUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner is bound too: a backfill that sees no row would be recorded as done."""
    later = LaterRelease(tmp_path)
    later.add("0017", up="op.execute(\"UPDATE users SET status = 'active'\")")
    later.install(monkeypatch)

    with pytest.raises(PermissionDeniedError):
        migrate.upgrade(agentdb_role_urls.owner)

    assert migrate.current(agentdb_role_urls.owner) == "0016"


def test_what_a_downgrade_loses_is_not_told_wrong(agentdb_role_urls: RoleUrls) -> None:
    """To the owner all tables look empty."""
    with pytest.raises(PermissionDeniedError, match="hides from this role what would be lost"):
        migrate.losses(agentdb_role_urls.owner, "base")
    assert migrate.losses(agentdb_role_urls.superuser, "base") == []


@postgres
def test_a_schema_that_is_behind_is_upgraded_first(agentdb_empty_url: str) -> None:
    """There is nothing to put under policies yet."""
    migrate.upgrade(agentdb_empty_url, "0010")

    with pytest.raises(SchemaVersionError):
        rls.enable(agentdb_empty_url)


@postgres
def test_tables_of_a_schema_come_under_policies_of_that_schema(agentdb_empty_url: str) -> None:
    """Two sets of tables in one database do not know of each other, whatever they are called."""
    named, other = 'a "b" %c', "other"
    for schema in (named, other):
        migrate.upgrade(agentdb_empty_url, schema=schema)

    rls.enable(agentdb_empty_url, schema=named)

    assert rls.status(agentdb_empty_url, schema=named).state is RlsState.ENABLED
    assert rls.status(agentdb_empty_url, schema=other).state is RlsState.DISABLED
    assert rls.enable(agentdb_empty_url, schema=named) == []


@pytest.mark.agentdb_only("sqlite")
def test_sqlite_has_none(agentdb_url: str) -> None:
    """It says so, rather than pretend."""
    for call in (rls.enable, rls.disable, rls.status, rls.require):
        with pytest.raises(ConfigurationError, match="SQLite has no row-level security"):
            call(agentdb_url)


def test_the_script_does_the_same(agentdb_role_urls: RoleUrls) -> None:
    """Run by hand, twice, it leaves what the function leaves; so does the one that disables."""
    for action, state in (("disable", RlsState.DISABLED), ("enable", RlsState.ENABLED)):
        script = rls.script("enable" if action == "enable" else "disable")
        with connect(agentdb_role_urls.owner) as connection:
            for _ in range(2):
                connection.execute(script.encode())

        assert rls.status(agentdb_role_urls.owner).state is state
