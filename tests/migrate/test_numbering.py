"""Numbers of deleted rows stay given, whatever is done to their table."""

from __future__ import annotations

import pytest

from agentdb.migrate.connections import connected
from agentdb.migrate.numbering import numbers_kept

pytestmark = pytest.mark.agentdb_only("sqlite")

MADE = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT)"
REBUILD = (
    MADE.format("rebuilt"),
    "INSERT INTO rebuilt SELECT id, note FROM things",
    "DROP TABLE things",
    "ALTER TABLE rebuilt RENAME TO things",
)


@pytest.mark.parametrize("left", [0, 2], ids=["emptied", "with rows"])
def test_a_rebuilt_table_goes_on_counting(agentdb_empty_url: str, left: int) -> None:
    """The next row gets a number that none had, also where all rows are gone."""
    with connected(agentdb_empty_url) as connection, connection.begin():
        connection.exec_driver_sql(MADE.format("things"))
        for _ in range(5):
            connection.exec_driver_sql("INSERT INTO things (note) VALUES ('x')")
        connection.exec_driver_sql(f"DELETE FROM things WHERE id > {left}")
        with numbers_kept(connection):
            for statement in REBUILD:
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO things (note) VALUES ('y')")
        newest = connection.exec_driver_sql("SELECT max(id) FROM things").scalar_one()

    assert newest == 6


def test_a_dropped_table_is_forgotten(agentdb_empty_url: str) -> None:
    """What was dropped on purpose, and is made again later, begins anew."""
    with connected(agentdb_empty_url) as connection, connection.begin():
        connection.exec_driver_sql(MADE.format("things"))
        connection.exec_driver_sql("INSERT INTO things (note) VALUES ('x')")
        with numbers_kept(connection):
            connection.exec_driver_sql("DROP TABLE things")
        left = connection.exec_driver_sql("SELECT count(*) FROM sqlite_sequence").scalar_one()

    assert left == 0
