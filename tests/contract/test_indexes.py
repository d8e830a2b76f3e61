"""What the indexes are for: the actions of foreign keys, and pages and sweeps in index order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Index, text

from agentdb.models import Base
from agentdb.testing import Template

KEYS = [
    pytest.param(column, id=f"{table.name}.{column.name}")
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if column.foreign_keys
]

# Sort keys: an index that ends in one serves pages or sweeps in its order.
_ENDS = {"id", "created_at", "position", "issued_at"}


ORDERED = [
    pytest.param(index, id=str(index.name))
    for table in Base.metadata.sorted_tables
    for index in sorted(table.indexes, key=lambda index: str(index.name))
    if not index.unique and list(index.columns)[-1].name in _ENDS
]


@pytest.fixture(scope="module")
def connection(agentdb_template: Template) -> Iterator[Connection]:
    """A connection whose planner prefers any index to reading the table.

    Nothing was ever stored in its database, so that costs depend on the schema alone.
    """
    isolation = agentdb_template.isolate(commits=False, fresh=True)
    engine = isolation.sync_engine()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        yield connection
        isolation.end()
    engine.dispose()
    isolation.close()


def plan(connection: Connection, query: str) -> str:
    """Return how the database would answer *query*."""
    keyword = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    rows = connection.exec_driver_sql(f"{keyword} {query}")
    return "\n".join(str(row) for row in rows)


def unknown(connection: Connection, column: Column[Any]) -> str:
    """Return a value that the planner does not know, as a parameter is."""
    kind = column.type.compile(dialect=connection.dialect).partition(" COLLATE")[0]
    return f"(SELECT CAST(NULL AS {kind}))"


def equals(connection: Connection, column: Column[Any]) -> str:
    """Return the condition that *column* holds such a value."""
    return f"{column.name} = {unknown(connection, column)}"


def page(connection: Connection, index: Index) -> str:
    """Return the query of a page in the order of *index*: equality on its leading columns."""
    columns = list(index.columns)
    width = 2 if len(columns) > 1 and columns[-1].name == "id" else 1
    where = index.dialect_options[connection.dialect.name].get("where")
    conditions = [equals(connection, column) for column in columns[:-width]]
    conditions += ["1 = 1"] if where is None else [str(where)]
    source = columns[0].table.name
    if connection.dialect.name == "sqlite":
        # Without statistics SQLite may take another index on the status; this one has to do.
        source += f" INDEXED BY {index.name}"
    order = ", ".join(column.name for column in columns[-width:])
    return f"SELECT 1 FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT 10"


@pytest.mark.parametrize("column", KEYS)
def test_the_action_of_a_foreign_key_finds_its_rows_by_an_index(
    connection: Connection, column: Column[Any]
) -> None:
    """Deleting a parent looks up its children without reading the whole table."""
    table = column.table.name
    shown = plan(connection, f"SELECT 1 FROM {table} WHERE {equals(connection, column)}")

    assert "Index" in shown or f"SEARCH {table} USING" in shown
    assert "Seq Scan" not in shown


@pytest.mark.parametrize("index", ORDERED)
def test_a_page_in_the_order_of_an_index_is_read_from_it(
    connection: Connection, index: Index
) -> None:
    """Equality on the leading columns and the order of the others need no sort and no scan."""
    shown = plan(connection, page(connection, index))

    assert str(index.name) in shown
    assert "Sort" not in shown
    assert "TEMP B-TREE" not in shown
