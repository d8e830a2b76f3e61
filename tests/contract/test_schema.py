"""The models and both migrated databases are the 46 tables as written down."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, inspect

from agentdb.engines import make_sync_engine
from agentdb.orm import Base
from agentdb.settings import Settings
from agentdb.testing import Template
from tests.contract import schema_facts as facts

TABLES = sorted(facts.expected_schema()["tables"])


@pytest.fixture(scope="module")
def database(agentdb_template: Template) -> Iterator[Connection]:
    """A connection to a migrated database."""
    url = agentdb_template.clone()
    with make_sync_engine(url, Settings()).connect() as connection:
        yield connection
    agentdb_template.drop(url)


def test_there_are_46_tables_of_571_columns() -> None:
    """No table or column is added or lost without this test."""
    tables = facts.expected_schema()["tables"].values()
    assert (len(tables), sum(len(table["columns"]) for table in tables)) == (46, 571)


def test_the_models_map_these_tables_and_no_others() -> None:
    """Every table has its model."""
    assert sorted(Base.metadata.tables) == TABLES


@pytest.mark.parametrize("name", TABLES)
def test_the_model_is_as_expected(name: str) -> None:
    """Columns, keys, constraints and indexes of the model are the expected ones."""
    assert facts.table_of_models(name) == facts.expected_table(name)


@pytest.mark.parametrize("name", TABLES)
def test_the_defaults_of_the_model_are_as_expected(name: str) -> None:
    """Defaults are Python-side and exactly those written down."""
    expected = {
        column: (wanted.get("default"), wanted.get("onupdate"))
        for column, wanted in facts.expected_schema()["tables"][name]["columns"].items()
    }
    columns = Base.metadata.tables[name].columns
    assert {c.name: (_argument(c.default), _argument(c.onupdate)) for c in columns} == expected
    assert all(c.server_default is None or c.computed is not None for c in columns)


def _argument(default: Any) -> object:
    if default is None:
        return None
    return default.arg.__name__ if default.is_callable else default.arg


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("name", TABLES)
def test_the_table_on_sqlite_is_as_expected(name: str, database: Connection) -> None:
    """A migrated SQLite database has the expected table, predicates and collations included."""
    expected = facts.expected_table(name, render=facts.render_sqlite, dialect="sqlite")
    assert facts.table_of_sqlite(database, name) == expected


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("name", TABLES)
def test_the_table_on_postgresql_is_as_expected(name: str, database: Connection) -> None:
    """A migrated PostgreSQL database has the expected table, as its catalogs tell."""
    expected = facts.expected_table(
        name,
        render=facts.render_postgresql,
        canonical=facts.canonical_on_postgresql(database, name),
    )
    assert facts.table_of_postgresql(database, name) == expected


@pytest.mark.agentdb_only("postgres")
def test_the_enumeration_types_have_their_labels_in_order(database: Connection) -> None:
    """Comparisons by an enumeration follow the order of its labels."""
    assert facts.enums_of_postgresql(database) == facts.enum_labels()


def test_no_column_has_a_default_of_the_server(database: Connection) -> None:
    """The databases draw numbered keys and know no other default."""
    numbered = "nextval" if database.dialect.name == "postgresql" else None
    found = {
        (name, column["name"], column["default"])
        for name in TABLES
        for column in inspect(database).get_columns(name)
        if column["default"] is not None
    }
    assert all(column == "id" and numbered and numbered in text for _, column, text in found)


@pytest.mark.agentdb_only("sqlite")
def test_numbered_keys_are_never_used_again_on_sqlite(database: Connection) -> None:
    """Only AUTOINCREMENT keeps SQLite from handing out the number of a deleted row."""
    rows = database.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    declared = {name for name, sql in rows if sql and "AUTOINCREMENT" in sql}
    assert declared == {
        name
        for name in TABLES
        if facts.expected_schema()["tables"][name]["columns"].get("id", {}).get("type") == "RowId"
    }


def test_every_name_fits_postgresql() -> None:
    """Longer names would be cut, and no error could be traced to its constraint."""
    names = [
        name
        for table in map(facts.table_of_models, TABLES)
        for name in (
            table.primary_key[0],
            *table.foreign_keys,
            *table.uniques,
            *table.indexes,
            *table.checks,
        )
    ]
    assert [name for name in [*names, *TABLES] if len(name.encode()) > 63] == []


def test_the_names_of_unique_keys_and_indexes_are_unique() -> None:
    """They share one namespace in a schema of PostgreSQL."""
    names = [
        name
        for table in map(facts.table_of_models, TABLES)
        for name in (table.primary_key[0], *table.uniques, *table.indexes)
    ]
    assert len(names) == len(set(names))
