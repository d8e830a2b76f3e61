"""The engines of the host."""

from typing import Any

from sqlalchemy import Connection, Engine, event


def begin_for_real(engine: Engine) -> None:
    """Make SQLite begin where SQLAlchemy does: its driver would commit each CREATE TABLE.

    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#sqlite-enabling-transactions
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def leave_it_to_us(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")
