"""Upgrades, downgrades and stamps of one caller."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, inspect, text

from agentdb import Database, migrate
from agentdb.engines import make_sync_engine
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.settings import Settings
from agentdb.testing import capture_statements
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


def test_an_upgrade_with_nothing_to_do_asks_for_the_revision_alone(agentdb_empty_url: str) -> None:
    """A replica that starts waits for two statements, and takes no lock."""
    migrate.upgrade(agentdb_empty_url)
    with capture_statements() as sent:
        migrate.upgrade(agentdb_empty_url)

    assert len([line for line in sent if not line.startswith("PRAGMA")]) <= 2


def test_a_downgrade_takes_back_what_lies_above(agentdb_empty_url: str) -> None:
    """Downgrades stop at the revision asked for; base leaves the version table alone."""
    first = migrate.history()[0].revision
    migrate.upgrade(agentdb_empty_url)
    migrate.downgrade(agentdb_empty_url, first)

    assert migrate.current(agentdb_empty_url) == first
    migrate.downgrade(agentdb_empty_url, "base")
    assert tables_at(agentdb_empty_url) <= {VERSION_TABLE}


def test_a_stamp_records_without_running(agentdb_empty_url: str) -> None:
    """A stamped database has a version and no tables of ours."""
    migrate.stamp(agentdb_empty_url, "head")

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()
    assert tables_at(agentdb_empty_url) == {VERSION_TABLE}


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


async def test_the_functions_work_inside_a_running_loop(agentdb_empty_url: str) -> None:
    """Called from a coroutine, they do not start a loop of their own."""
    migrate.upgrade(agentdb_empty_url)

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()


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
