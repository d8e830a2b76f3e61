"""Noticing a pooler between us and PostgreSQL."""

from __future__ import annotations

from typing import Any


def spare_prepared_statements(dbapi_connection: Any) -> None:
    """Stop preparing statements on a connection that leads to a pooler.

    A pooler in transaction mode gives each transaction another server connection, on which a
    prepared statement is missing or, before PgBouncer 1.22, may be another client's of the same
    name. It is known by the process id: the one that it made up for the client at the start is not
    that of the server process which answers.
    """
    driver = dbapi_connection.driver_connection
    cursor = dbapi_connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    (answering,) = cursor.fetchone()
    cursor.close()
    if driver.info.backend_pid != answering:
        driver.prepare_threshold = None
