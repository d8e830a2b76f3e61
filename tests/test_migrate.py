from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from sqlalchemy import Engine, inspect, text

from agentdb import Database, migrate
from agentdb.engines import make_sync_engine
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.settings import Settings
from agentdb.version import VERSION_TABLE


def engine_of(url: str) -> Engine:
    """Return a synchronous engine on *url*."""
    return make_sync_engine(url, Settings())


def tables_at(url: str) -> set[str]:
    """Return the tables of a database."""
    with engine_of(url).connect() as connection:
        return set(inspect(connection).get_table_names())


def test_an_upgrade_reaches_the_head_and_repeats_without_effect(agentdb_empty_url: str) -> None:
    """A fresh database gets 46 tables and a version; a second upgrade finds nothing to do."""
    assert migrate.current(agentdb_empty_url) is None

    migrate.upgrade(agentdb_empty_url)
    migrate.upgrade(agentdb_empty_url)

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()
    assert len(tables_at(agentdb_empty_url) - {VERSION_TABLE}) == 46
    assert migrate.check(agentdb_empty_url) == []


def test_a_downgrade_takes_back_what_lies_above(agentdb_empty_url: str) -> None:
    """Downgrades stop at the revision asked for; base leaves the version table alone."""
    first = migrate.history()[0].revision
    migrate.upgrade(agentdb_empty_url)
    migrate.downgrade(agentdb_empty_url, first)

    assert migrate.current(agentdb_empty_url) == first
    migrate.downgrade(agentdb_empty_url, "base")
    assert tables_at(agentdb_empty_url) <= {VERSION_TABLE}


def test_the_history_is_linear_and_ends_at_the_head() -> None:
    """Each revision names the one before it."""
    steps = migrate.history()

    assert [step.down_revision for step in steps] == [
        None,
        *(step.revision for step in steps[:-1]),
    ]
    assert migrate.heads() == [steps[-1].revision]
    assert all(step.description for step in steps)


def test_a_stamp_records_without_running(agentdb_empty_url: str) -> None:
    """A stamped database has a version and no tables of ours."""
    migrate.stamp(agentdb_empty_url, "head")

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()
    assert tables_at(agentdb_empty_url) == {VERSION_TABLE}


def test_check_tells_a_changed_table(agentdb_url: str) -> None:
    """A dropped column is a difference."""
    with engine_of(agentdb_url).begin() as connection:
        connection.execute(text("ALTER TABLE user_profiles DROP COLUMN locale"))

    assert any("locale" in difference for difference in migrate.check(agentdb_url))


def test_check_refuses_a_database_that_is_behind(agentdb_empty_url: str) -> None:
    """Without a version, or at an older one, the check says to upgrade."""
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        migrate.check(agentdb_empty_url)
    migrate.upgrade(agentdb_empty_url, migrate.history()[0].revision)
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        migrate.check(agentdb_empty_url)


def test_an_unknown_revision_is_refused(agentdb_empty_url: str) -> None:
    """A revision that does not exist, asked for or found, raises and changes nothing."""
    with pytest.raises(SchemaVersionError):
        migrate.upgrade(agentdb_empty_url, "nonsense")
    migrate.upgrade(agentdb_empty_url)
    with engine_of(agentdb_empty_url).begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for call in (migrate.upgrade, migrate.check):
        with pytest.raises(SchemaVersionError, match="9999"):
            call(agentdb_empty_url)


def test_a_foreign_table_of_our_name_stops_the_upgrade(agentdb_empty_url: str) -> None:
    """A host's own table of the same name is left alone, and nothing else is made."""
    with engine_of(agentdb_empty_url).begin() as connection:
        connection.execute(text("CREATE TABLE users (id INTEGER)"))
    with pytest.raises(SchemaVersionError):
        migrate.upgrade(agentdb_empty_url)

    assert tables_at(agentdb_empty_url) == {"users"}


def test_tables_of_a_host_are_not_compared(agentdb_url: str) -> None:
    """The check looks at our tables alone."""
    with engine_of(agentdb_url).begin() as connection:
        connection.execute(text("CREATE TABLE host_things (id INTEGER PRIMARY KEY)"))

    assert migrate.check(agentdb_url) == []


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_the_upgrade_can_be_written_as_sql(dialect: str) -> None:
    """The script holds every table, and the search column where the database has it."""
    script = migrate.sql(dialect)

    assert script.count("CREATE TABLE") == 46 + 1
    assert ("tsvector" in script.lower()) is (dialect == "postgresql")


async def test_the_functions_work_inside_a_running_loop(agentdb_empty_url: str) -> None:
    """Called from a coroutine, they do not start a loop of their own."""
    migrate.upgrade(agentdb_empty_url)

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()


@pytest.mark.agentdb_commits
async def test_many_upgrades_of_one_process_apply_once(agentdb_empty_url: str) -> None:
    """Eight database objects that upgrade at once all succeed."""
    databases = [Database(agentdb_empty_url) for _ in range(8)]
    await asyncio.gather(*(database.upgrade() for database in databases))
    for database in databases:
        await database.dispose()

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()


def test_many_upgrading_processes_apply_once(agentdb_empty_url: str) -> None:
    """Four processes that upgrade a fresh database at once all succeed."""
    program = "import sys; from agentdb import migrate; migrate.upgrade(sys.argv[1])"
    command = [sys.executable, "-c", program, agentdb_empty_url]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    outcomes = [process.communicate(timeout=120)[1] for process in running]

    assert [process.returncode for process in running] == [0] * 4, outcomes
    assert migrate.check(agentdb_empty_url) == []


async def test_a_database_in_memory_is_upgraded_over_its_connection() -> None:
    """Two databases in memory upgrade at once in one loop and keep their tables over units."""
    databases = [Database("sqlite://") for _ in range(2)]
    await asyncio.gather(*(database.upgrade() for database in databases))
    for database in databases:
        async with database.begin_system(reason="test") as uow:
            await uow.tenant_accounts.create("Acme", "acme")
        async with database.begin_system(reason="test") as uow:
            assert await uow.tenant_accounts.by_slug("acme")
        await database.dispose()


def test_a_connection_in_a_transaction_is_refused(agentdb_empty_url: str) -> None:
    """A migration begins and ends its own transaction."""
    with engine_of(agentdb_empty_url).connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(ConfigurationError):
            migrate.upgrade(connection)


def test_foreign_keys_are_on_again_after_a_migration_on_sqlite(agentdb_empty_url: str) -> None:
    """The connection that migrated checks references as before."""
    with engine_of(agentdb_empty_url).connect() as connection:
        migrate.upgrade(connection)
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert migrate.current(connection) == migrate.heads()[0]
