"""What SQLite needs to have our revisions in a transaction of the host."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from agentdb import migrate
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.migrate.connections import connected
from tests.migrate.hosts import (
    NEW,
    AddRevision,
    hosts_connection,
    operations,
    synchronous,
    tables_of,
)
from tests.rows import rows_of, store

pytestmark = pytest.mark.agentdb_only("sqlite")

HEAD = migrate.heads()[0]
REBUILD = """with op.batch_alter_table("tenant_accounts") as batch:
        batch.alter_column("name", existing_type=sa.String(128), type_=sa.String(200))
"""


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


@pytest.mark.parametrize("enforced", [True, False])
def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(
    agentdb_url: str, add_revision: AddRevision, enforced: bool
) -> None:
    """Refused where foreign keys are enforced, as dropping the old table would delete them."""
    fill(agentdb_url)
    add_revision(REBUILD)
    with hosts_connection(agentdb_url, foreign_keys=enforced) as connection, connection.begin():
        if enforced:
            with pytest.raises(ConfigurationError, match="foreign_keys"):
                migrate.upgrade_in(operations(connection))
        else:
            migrate.upgrade_in(operations(connection))

    assert count_of(agentdb_url, "tenant_settings") == 1
    assert migrate.current(agentdb_url) == (HEAD if enforced else NEW)


def test_a_rebuild_that_loses_a_referred_row_is_refused(
    agentdb_url: str, add_revision: AddRevision
) -> None:
    """Nobody else would notice while foreign keys are off."""
    fill(agentdb_url)
    add_revision(f'{REBUILD}\n    op.execute("DELETE FROM tenant_accounts")')
    with (
        hosts_connection(agentdb_url) as connection,
        connection.begin(),
        pytest.raises(SchemaVersionError, match="lead nowhere"),
    ):
        migrate.upgrade_in(operations(connection))

    assert count_of(agentdb_url, "tenant_accounts") == 1
    assert migrate.current(agentdb_url) == HEAD
