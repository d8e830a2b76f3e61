"""Noticing a pooler between us and PostgreSQL."""

from __future__ import annotations

from typing import Any


def is_pooled(driver_connection: Any, answering: int) -> bool:
    """Whether a connection of psycopg leads to a pooler.

    It is known by the process id: the one that a pooler made up for the client at the start is not
    that of the server process which answers.

    Args:
        driver_connection: The connection.
        answering: What ``pg_backend_pid()`` answered on it.
    """
    announced: int = driver_connection.info.backend_pid
    return announced != answering


def spare_prepared_statements(dbapi_connection: Any) -> None:
    """Stop preparing statements on a connection that leads to a pooler.

    A pooler in transaction mode gives each transaction another server connection, on which a
    prepared statement is missing or, before PgBouncer 1.22, may be another client's of the same
    name.
    """
    driver = dbapi_connection.driver_connection
    cursor = dbapi_connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    (answering,) = cursor.fetchone()
    cursor.close()
    if is_pooled(driver, answering):
        driver.prepare_threshold = None
