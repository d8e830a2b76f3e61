"""Making a migrated database differ from the models."""

from __future__ import annotations

from sqlalchemy import Connection, text


def run(connection: Connection, *statements: str) -> None:
    """Run statements as they are written."""
    for statement in statements:
        on_psycopg = connection.dialect.name == "postgresql"
        connection.exec_driver_sql(statement.replace("%", "%%") if on_psycopg else statement)


def remake(connection: Connection, table: str, old: str, new: str) -> None:
    """Make an empty table of SQLite again, with *new* for *old* in its statement."""
    query = text("SELECT sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL")
    statements: list[str] = list(connection.execute(query, {"table": table}).scalars())
    assert old in statements[0], statements[0]
    connection.exec_driver_sql(f"DROP TABLE {table}")
    run(connection, statements[0].replace(old, new), *statements[1:])
