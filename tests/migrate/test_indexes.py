"""Indexes that are built beside those who write."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

from agentdb import migrate
from agentdb.errors import DuplicateError
from agentdb.migrate import create_index_concurrently
from agentdb.migrate.connections import connected
from tests.schemas import run_sql

TWO_OF_ONE_NAME = """
    INSERT INTO {}.tenant_accounts
    VALUES (gen_random_uuid(), 'a', 'Same', now()), (gen_random_uuid(), 'b', 'Same', now())
"""
IS_VALID = """
    SELECT indisvalid, oid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = 'ix_name'
"""


@contextmanager
def revision(url: str, schema: str | None) -> Generator[Operations]:
    """Yield what a revision that is not atomic knows as ``op``."""
    options = {"version_table_schema": schema, "transaction_per_migration": True}
    with connected(url, schema=schema) as connection:
        yield Operations(MigrationContext.configure(connection, opts=options))


def build(op: Operations) -> None:
    """Build the index of the tests."""
    create_index_concurrently(op, "ix_name", "tenant_accounts", ["name"], unique=True)


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("schema", [None, "app"])
def test_a_build_that_failed_is_done_again(agentdb_empty_url: str, schema: str | None) -> None:
    """What it left is dropped first; an index that stands is kept."""
    migrate.upgrade(agentdb_empty_url, "0001", schema=schema)
    run_sql(agentdb_empty_url, TWO_OF_ONE_NAME, schema or "public")
    with revision(agentdb_empty_url, schema) as op, pytest.raises(DuplicateError):
        build(op)
    [(is_valid, left)] = run_sql(agentdb_empty_url, IS_VALID)
    assert not is_valid

    run_sql(agentdb_empty_url, "DELETE FROM {}.tenant_accounts", schema or "public")
    with revision(agentdb_empty_url, schema) as op:
        build(op)
    [(is_valid, built)] = run_sql(agentdb_empty_url, IS_VALID)
    assert (is_valid, built == left) == (True, False)

    with revision(agentdb_empty_url, schema) as op:
        build(op)
    assert run_sql(agentdb_empty_url, IS_VALID) == [(True, built)]


@pytest.mark.agentdb_only("postgres")
def test_an_index_of_another_schema_is_not_taken_for_it(agentdb_empty_url: str) -> None:
    """Two installations have indexes of the same names."""
    for schema in ("one", "two"):
        migrate.upgrade(agentdb_empty_url, "0001", schema=schema)
        with revision(agentdb_empty_url, schema) as op:
            build(op)

    assert len(run_sql(agentdb_empty_url, IS_VALID)) == 2


def test_predicate_and_method_are_those_asked_for(agentdb_backend: str, agentdb_url: str) -> None:
    """On SQLite the method is the only one that there is."""
    with revision(agentdb_url, None) as op:
        create_index_concurrently(
            op,
            "ix_name",
            "tenant_accounts",
            [text("lower(slug)")],
            where="slug > 'a'",
            using="hash",
        )
        found = {
            "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'ix_name'",
            "postgres": "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_name'",
        }[agentdb_backend]
        definition = op.get_bind().exec_driver_sql(found).scalar_one()

    assert "lower(" in definition
    assert "slug" in definition.partition("WHERE")[2]
    assert ("USING hash" in definition) == (agentdb_backend == "postgres")


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_a_script_builds_it_outside_of_a_transaction(dialect: str) -> None:
    """And can run again where it was stopped."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": written}
    )

    build(Operations(context))

    said = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix_name"
    assert (said in written.getvalue()) == (dialect == "postgresql")
    assert "ON tenant_accounts (name)" in written.getvalue()
