"""How often a block goes to the database and back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiosqlite
import pytest

from agentdb.testing import FaultProxy, Message


@dataclass(slots=True)
class Trips:
    """A count that grows: of answers of the server, or of calls in the thread of SQLite."""

    count: int = 0


@contextmanager
def trips_through(proxy: FaultProxy) -> Generator[Trips]:
    """Count what a client of PostgreSQL waits for: each round trip ends with ReadyForQuery."""
    trips = Trips()

    def note(message: Message) -> Message:
        trips.count += message.kind == b"Z"
        return message

    proxy.rewrite(note)
    yield trips
    proxy.heal()


@contextmanager
def hops(patch: pytest.MonkeyPatch) -> Generator[Trips]:
    """Count the calls of connections to SQLite that their threads run: each is two switches."""
    trips = Trips()
    run = getattr(aiosqlite.Connection, "_execute")  # noqa: B009 -- private: no event tells of it

    async def count(connection: Any, *arguments: Any, **options: Any) -> Any:
        trips.count += 1
        return await run(connection, *arguments, **options)

    with patch.context() as patched:
        patched.setattr(aiosqlite.Connection, "_execute", count)
        yield trips
