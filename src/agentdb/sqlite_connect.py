"""Connecting to SQLite asynchronously, without a thread or a file left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import aiosqlite


async def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Return a connection; where there is none, wait for its thread and close what it opened.

    aiosqlite answers from a thread. After a refused connection the thread would answer once more,
    to an event loop that may be closed by then, and print a traceback; what it opened for a task
    that was cancelled meanwhile nobody else would close.
    """
    opened: list[sqlite3.Connection] = []

    def connector() -> sqlite3.Connection:
        arguments: dict[str, Any] = {**options, "check_same_thread": False}
        opened.append(sqlite3.connect(database, **arguments))
        return opened[0]

    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    # Private, and what SQLAlchemy's dialect marks in the same way.
    thread = connection._thread  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)
        for unused in opened:
            unused.close()
        raise
