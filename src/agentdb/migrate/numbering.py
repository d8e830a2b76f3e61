"""The numbers that SQLite gives to rows, over the rebuild of a table."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, text

_IS_COUNTING = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"
_NUMBERS = "SELECT name, seq FROM sqlite_sequence"
_RESTORE = text("UPDATE sqlite_sequence SET seq = max(seq, :number) WHERE name = :name")
# A table that was built anew without a row is not in it.
_REMEMBER = text("""
    INSERT INTO sqlite_sequence (name, seq) SELECT name, :number FROM sqlite_master
    WHERE type = 'table' AND name = :name
      AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE sqlite_sequence.name = :name)
""")


@contextmanager
def numbers_kept(connection: Connection) -> Generator[None]:
    """Let no table of SQLite give a number of a deleted row out again.

    A table with AUTOINCREMENT remembers the greatest number that it ever gave. One that is built
    anew knows those of the rows that are still there, and a reader that resumes after the number of
    a deleted row would miss what comes next: https://www.sqlite.org/autoinc.html.

    Args:
        connection: In the transaction that rebuilds; on PostgreSQL there is nothing to do.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    before = _numbers(connection)
    yield
    for name, number in before.items():
        for statement in (_RESTORE, _REMEMBER):
            connection.execute(statement, {"name": name, "number": number})


def _numbers(connection: Connection) -> dict[str, int]:
    if not connection.exec_driver_sql(_IS_COUNTING).scalar_one():
        return {}  # the table is made with the first that counts
    return {row.name: row.seq for row in connection.exec_driver_sql(_NUMBERS)}
