"""Connecting to SQLite asynchronously, without a thread left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import aiosqlite


async def connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Return a connection; where there is none, wait for its thread to end.

    aiosqlite answers from a thread. After a refused connection the thread would answer once more,
    to an event loop that may be closed by then, and print a traceback.
    """
    connection = aiosqlite.connect(*arguments, **options)
    # Private, and what SQLAlchemy's dialect marks in the same way.
    thread = connection._thread  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)
        raise
