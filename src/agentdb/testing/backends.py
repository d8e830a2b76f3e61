"""The processes of a PostgreSQL server that serve connections: which one, waiting, gone."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from agentdb.errors import DeadlineError, NotFoundError
from agentdb.unit import Unit
from agentdb.urls import sync_url


async def backend_of(session: AsyncSession | AsyncConnection | Unit) -> int:
    """Return the id of the server's process that a session, connection or unit talks to.

    A transaction begins if none has; no statement is sent otherwise. PostgreSQL only.
    """
    found = session.session if isinstance(session, Unit) else session
    connection = await found.connection() if isinstance(found, AsyncSession) else found
    driver: Any = (await connection.get_raw_connection()).driver_connection
    process: int = driver.info.backend_pid
    return process


def kill_backend(url: str | URL, process: int, *, timeout: float = 5.0) -> None:
    """End a process of the server from another connection, and return when it is gone.

    Its transaction is rolled back, and its client finds the connection broken at the next use. The
    role must be the one of the connection, or a superuser. Blocks for some milliseconds.

    Args:
        url: The server.
        process: From `backend_of`.
        timeout: Seconds after which the process must be gone.

    Raises:
        NotFoundError: The server has no such process.
        DeadlineError: It did not end in time.
    """
    with connect_plainly(url) as connection:
        query = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE pid = %s"
        found = connection.execute(query, [int(timeout * 1000), process]).fetchone()
    if found is None:
        raise NotFoundError("the server has no such process")
    if not found[0]:
        raise DeadlineError("the process did not end in time")


def connect_plainly(url: str | URL) -> psycopg.Connection:
    """Return a connection of the driver in autocommit, apart from any engine."""
    target = sync_url(url).set(drivername="postgresql")
    return psycopg.connect(target.render_as_string(hide_password=False), autocommit=True)
