"""Our revisions in a transaction that somebody else began."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event as ThreadEvent

import pytest
from sqlalchemy import Column, Integer, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError

from agentdb import migrate
from agentdb.errors import AgentDBError, ConfigurationError, DeadlineError, SchemaVersionError
from agentdb.migrate import Limits
from agentdb.migrate.connections import connected
from agentdb.migrate.locks import PROCESS, key_of, try_lock
from agentdb.version import VERSION_TABLE
from tests.migrate.hosts import (
    NEW,
    AddRevision,
    hosts_connection,
    operations,
    synchronous,
    tables_of,
)
from tests.schemas import run_sql

HEAD = migrate.heads()[0]
IMPATIENT = Limits(wait=0.05)

INDEX = """from agentdb.migrate import create_index_concurrently

    create_index_concurrently(op, "ix_later", "tenant_accounts", ["name"])
"""


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
    agentdb_empty_url: str, add_revision: AddRevision
) -> None:
    """The error is ours; those of the host, on the same engine, stay the driver's."""
    add_revision('op.execute("INSERT INTO nowhere VALUES (1)")')
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


def build_in_transaction(url: str, schema: str | None = None) -> None:
    """Apply the newest revision in a transaction that is rolled back, and in one that is not."""
    with hosts_connection(url) as connection:
        with connection.begin() as transaction:
            assert migrate.upgrade_in(operations(connection), schema=schema)[-1].revision == NEW
            transaction.rollback()
        assert tables_of(url, schema) == set()
        with connection.begin():
            migrate.upgrade_in(operations(connection), schema=schema)

    assert migrate.current(url, schema=schema) == NEW
    with connected(url) as found:
        indexes = {index["name"] for index in inspect(found).get_indexes("tenant_accounts", schema)}
        assert "ix_later" in indexes


def test_indexes_are_built_in_the_transaction(
    agentdb_empty_url: str, add_revision: AddRevision
) -> None:
    """Those that `upgrade` builds concurrently: a rollback takes them back as well."""
    add_revision(INDEX)
    build_in_transaction(agentdb_empty_url)


@pytest.mark.agentdb_only("postgres")
def test_indexes_of_a_schema_are_built_in_the_transaction(
    agentdb_empty_url: str, add_revision: AddRevision
) -> None:
    """In that schema."""
    add_revision(INDEX)
    build_in_transaction(agentdb_empty_url, "app")


@pytest.mark.agentdb_only("postgres")
def test_whoever_waits_stops_no_index_that_another_builds(agentdb_empty_url: str) -> None:
    """``CREATE INDEX CONCURRENTLY`` waits for all snapshots, and we wait for its builder."""
    migrate.upgrade(agentdb_empty_url, "0001")
    asked, applied = ThreadEvent(), list[migrate.Revision]()

    def wait() -> None:
        with hosts_connection(agentdb_empty_url) as connection, connection.begin():
            connection.exec_driver_sql("CREATE TABLE things (id integer)")
            event.listen(connection, "after_cursor_execute", note)
            applied.extend(migrate.upgrade_in(operations(connection), to="0002"))

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "pg_try_advisory_xact_lock" in statement:
            asked.set()

    with connected(agentdb_empty_url) as holder, ThreadPoolExecutor(1) as pool:
        with holder.begin():
            assert try_lock(holder, key_of(holder))
            waiting = pool.submit(wait)
            assert asked.wait(60)
            build = "CREATE INDEX CONCURRENTLY ix_beside ON tenant_accounts (name)"
            run_sql(agentdb_empty_url, build)
        waiting.result(60)

    assert [step.revision for step in applied] == ["0002"]


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


def test_another_driver_is_refused(agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it has a transaction open, we cannot tell."""
    with hosts_connection(agentdb_empty_url) as connection, connection.begin():
        monkeypatch.setattr(connection.dialect, "driver", "asyncpg")
        with pytest.raises(ConfigurationError, match="asyncpg"):
            migrate.upgrade_in(operations(connection))


@pytest.mark.agentdb_only("postgres")
def test_a_transaction_that_failed_is_told(agentdb_empty_url: str) -> None:
    """The host caught an error and went on."""
    with hosts_connection(agentdb_empty_url) as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(AgentDBError, match="earlier statement"):
            migrate.upgrade_in(operations(connection))
        connection.rollback()
