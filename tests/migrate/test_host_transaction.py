"""Our revisions in a transaction that somebody else began."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, Integer, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from agentdb import migrate
from agentdb.errors import AgentDBError, ConfigurationError, DeadlineError, SchemaVersionError
from agentdb.migrate import Limits
from agentdb.migrate.connections import connected
from agentdb.migrate.locks import PROCESS, key_of, try_lock
from agentdb.version import VERSION_TABLE
from tests.migrate.hosts import synchronous, tables_of
from tests.migrate.later import LaterRelease
from tests.rows import rows_of, store
from tests.schemas import run_sql

HEAD = migrate.heads()[0]
NEW = "9000"
IMPATIENT = Limits(wait=0.05)

INDEX = """from agentdb.migrate import create_index_concurrently

    create_index_concurrently(op, "ix_later", "tenant_accounts", ["name"])
"""
REBUILD = """with op.batch_alter_table("tenant_accounts") as batch:
        batch.alter_column("name", existing_type=sa.String(128), type_=sa.String(200))
"""

Release = Callable[[str], None]


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Make this process a release that has one more revision, with these statements."""

    def install(up: str) -> None:
        release = LaterRelease(tmp_path)
        release.add(NEW, up)
        release.install(monkeypatch)

    return install


@contextmanager
def hosts_connection(url: str, *, foreign_keys: bool = False) -> Generator[Connection]:
    """Yield a connection of a host that makes SQLite begin for real."""
    engine = create_engine(synchronous(url), poolclass=NullPool)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def set_up(dbapi_connection: Any, _: object) -> None:
            dbapi_connection.isolation_level = None
            dbapi_connection.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

    with engine.connect() as connection:
        yield connection


def operations(connection: Connection, **options: Any) -> Operations:
    """Return what a revision of the host knows as ``op``."""
    return Operations(MigrationContext.configure(connection, opts=options))


def test_the_revisions_applied_are_returned(agentdb_empty_url: str) -> None:
    """All at first, none again; ``op`` goes on to work, and can refer to our tables."""
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        op = operations(connection)

        applied = migrate.upgrade_in(op, to="0005")
        assert [step.revision for step in applied] == ["0001", "0002", "0003", "0004", "0005"]
        assert len(migrate.upgrade_in(op, to="0.1.0")) == 11
        assert migrate.upgrade_in(op) == []
        op.create_table("things", Column("id", Integer, primary_key=True))

    assert migrate.current(agentdb_empty_url) == HEAD
    assert "things" in tables_of(agentdb_empty_url)


def test_a_database_that_is_further_is_left_as_it_is(agentdb_url: str) -> None:
    """An old revision of a host runs in a new deployment, whose tables came up before."""
    with hosts_connection(agentdb_url) as connection, connection.begin():
        assert migrate.upgrade_in(operations(connection), to="0009") == []


@pytest.mark.parametrize(("revision", "works"), [("9001", True), ("9001_9000", False)])
def test_a_database_of_a_newer_release_counts_if_this_one_works_with_it(
    agentdb_url: str, revision: str, works: bool
) -> None:
    """As `require_current` judges it."""
    with hosts_connection(agentdb_url) as connection, connection.begin():
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
        if works:
            assert migrate.upgrade_in(operations(connection)) == []
        else:
            with pytest.raises(SchemaVersionError, match=revision):
                migrate.upgrade_in(operations(connection))


def test_a_refused_call_leaves_the_transaction_usable(agentdb_empty_url: str) -> None:
    """Tables of our names that are not ours are not touched, and the host may go on."""
    with hosts_connection(agentdb_empty_url) as connection:
        with connection.begin():
            connection.exec_driver_sql("CREATE TABLE users (nick INTEGER)")
            with pytest.raises(SchemaVersionError, match="users"):
                migrate.upgrade_in(operations(connection))
            connection.exec_driver_sql("INSERT INTO users VALUES (1)")
        assert connection.exec_driver_sql("SELECT nick FROM users").scalar_one() == 1

    assert tables_of(agentdb_empty_url) == {"users"}


def test_a_revision_that_fails_takes_back_those_before_it(
    agentdb_empty_url: str, later: Release
) -> None:
    """The error is ours; those of the host, on the same engine, stay the driver's."""
    later('op.execute("INSERT INTO nowhere VALUES (1)")')
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        with pytest.raises(SchemaVersionError):
            migrate.upgrade_in(operations(connection))

        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT * FROM nowhere")

    assert tables_of(agentdb_empty_url) == set()


def test_other_upgraders_wait_for_the_transaction(agentdb_empty_url: str) -> None:
    """They see all or nothing of it."""
    with hosts_connection(agentdb_empty_url) as connection:
        with connection.begin():
            migrate.upgrade_in(operations(connection))
            with pytest.raises(DeadlineError):
                migrate.upgrade(agentdb_empty_url, limits=IMPATIENT)
        assert migrate.upgrade(agentdb_empty_url) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("schema", [None, "app"])
def test_another_upgrader_is_waited_for(agentdb_empty_url: str, schema: str | None) -> None:
    """Whoever gives up can try again in the same transaction."""
    with (
        connected(agentdb_empty_url, schema=schema) as other,
        hosts_connection(agentdb_empty_url) as connection,
        connection.begin(),
    ):
        op = operations(connection)
        with other.begin():
            assert try_lock(other, key_of(other))
            with pytest.raises(DeadlineError):
                migrate.upgrade_in(op, schema=schema, limits=IMPATIENT)
        assert len(migrate.upgrade_in(op, schema=schema, limits=IMPATIENT)) == len(
            migrate.history()
        )


def test_another_migration_of_the_process_is_waited_for(agentdb_empty_url: str) -> None:
    """Alembic has one ``op`` in a process."""
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        op = operations(connection)
        with PROCESS, pytest.raises(DeadlineError):
            migrate.upgrade_in(op, limits=IMPATIENT)
        assert migrate.upgrade_in(op, limits=IMPATIENT)
    assert not PROCESS.locked()


@pytest.mark.parametrize("schema", [None, "app"])
def test_indexes_are_built_in_the_transaction(
    agentdb_backend: str, agentdb_empty_url: str, later: Release, schema: str | None
) -> None:
    """Those that `upgrade` builds concurrently: a rollback takes them back as well."""
    if schema and agentdb_backend == "sqlite":
        pytest.skip("SQLite has no schemas")
    later(INDEX)
    with hosts_connection(agentdb_empty_url) as connection:
        with connection.begin() as transaction:
            assert migrate.upgrade_in(operations(connection), schema=schema)[-1].revision == NEW
            transaction.rollback()
        assert tables_of(agentdb_empty_url, schema) == set()
        with connection.begin():
            migrate.upgrade_in(operations(connection), schema=schema)

    with connected(agentdb_empty_url) as found:
        catalog = {"sqlite": "sqlite_master WHERE name", "postgres": "pg_indexes WHERE indexname"}
        count = f"SELECT count(*) FROM {catalog[agentdb_backend]} = 'ix_later'"
        assert found.exec_driver_sql(count).scalar_one() == 1
    assert migrate.current(agentdb_empty_url, schema=schema) == NEW


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("before", [None, {None: "public", "else": "where"}])
def test_the_connection_is_left_as_it_was(
    agentdb_empty_url: str, before: dict[str | None, str] | None
) -> None:
    """Its search path and its map of schemas, after a success and after a failure."""
    run_sql(agentdb_empty_url, "CREATE SCHEMA taken")
    run_sql(agentdb_empty_url, "CREATE TABLE taken.users (nick text)")
    with hosts_connection(agentdb_empty_url) as connection:
        connection.execution_options(schema_translate_map=before)
        for schema in ("app", "taken"):
            with connection.begin():
                connection.exec_driver_sql("SET LOCAL search_path = public, pg_catalog")
                if schema == "taken":
                    with pytest.raises(SchemaVersionError):
                        migrate.upgrade_in(operations(connection), schema=schema)
                else:
                    migrate.upgrade_in(operations(connection), schema=schema)
                path = connection.exec_driver_sql("SHOW search_path").scalar_one()
                assert path == "public, pg_catalog"
                assert connection.get_execution_options()["schema_translate_map"] == before

    assert tables_of(agentdb_empty_url, "taken") == {"users"}


@pytest.mark.agentdb_only("postgres")
def test_the_schema_that_the_host_maps_to_is_the_default(agentdb_empty_url: str) -> None:
    """An engine of `configure(…, schema=…)` says where our tables are."""
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        connection.execution_options(schema_translate_map={None: "app"})
        migrate.upgrade_in(operations(connection))

    assert migrate.verdict(agentdb_empty_url, schema="app").state == "current"
    assert tables_of(agentdb_empty_url) == set()


def test_a_connection_that_commits_by_itself_is_refused(agentdb_empty_url: str) -> None:
    """SQLAlchemy begins, but the driver does not."""
    engine = create_engine(synchronous(agentdb_empty_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="transaction"):
        migrate.upgrade_in(operations(connection))
    engine.dispose()

    assert tables_of(agentdb_empty_url) == set()


@pytest.mark.agentdb_only("sqlite")
def test_the_driver_of_sqlite_begins_too_late(agentdb_empty_url: str) -> None:
    """Before DDL it begins nothing: refused, unless the host has written rows before."""
    engine = create_engine(synchronous(agentdb_empty_url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER)")
        with pytest.raises(ConfigurationError, match="transaction"):
            migrate.upgrade_in(operations(connection))
        assert tables_of(agentdb_empty_url) == {"things"}
        connection.exec_driver_sql("INSERT INTO things VALUES (1)")
        migrate.upgrade_in(operations(connection))
        connection.rollback()

    assert tables_of(agentdb_empty_url) == {"things"}


def test_another_driver_is_refused(agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it has a transaction open, we cannot tell."""
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        monkeypatch.setattr(connection.dialect, "driver", "asyncpg")
        with pytest.raises(ConfigurationError, match="asyncpg"):
            migrate.upgrade_in(operations(connection))


def fill(url: str) -> None:
    """Store a tenant, and settings that go when it goes."""
    rows = rows_of("alpha")
    with connected(url) as connection, Session(connection) as session:
        store(session, [rows["tenant_accounts"], rows["tenant_settings"]])
        session.commit()


def count_of(url: str, table: str) -> int:
    """Return how many rows a table has."""
    with connected(url) as connection:
        counted: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        return counted


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("enforced", [True, False])
def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(
    agentdb_url: str, later: Release, enforced: bool
) -> None:
    """Refused where foreign keys are enforced, as dropping the old table would delete them."""
    fill(agentdb_url)
    later(REBUILD)
    with hosts_connection(agentdb_url, foreign_keys=enforced) as connection, connection.begin():
        if enforced:
            with pytest.raises(ConfigurationError, match="foreign_keys"):
                migrate.upgrade_in(operations(connection))
        else:
            migrate.upgrade_in(operations(connection))

    assert count_of(agentdb_url, "tenant_settings") == 1
    assert migrate.current(agentdb_url) == (HEAD if enforced else NEW)


@pytest.mark.agentdb_only("sqlite")
def test_a_rebuild_that_loses_a_referred_row_is_refused(agentdb_url: str, later: Release) -> None:
    """Nobody else would notice while foreign keys are off."""
    fill(agentdb_url)
    later(f'{REBUILD}\n    op.execute("DELETE FROM tenant_accounts")')
    with (
        hosts_connection(agentdb_url) as connection,
        connection.begin(),
        pytest.raises(SchemaVersionError, match="lead nowhere"),
    ):
        migrate.upgrade_in(operations(connection))

    assert count_of(agentdb_url, "tenant_accounts") == 1
    assert migrate.current(agentdb_url) == HEAD


@pytest.mark.agentdb_only("postgres")
def test_a_transaction_that_failed_is_told(agentdb_empty_url: str) -> None:
    """The host caught an error and went on."""
    with hosts_connection(agentdb_empty_url) as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(AgentDBError, match="earlier statement"):
            migrate.upgrade_in(operations(connection))
        connection.rollback()
