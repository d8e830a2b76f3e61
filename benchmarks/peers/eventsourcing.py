"""eventsourcing: the application recorder of its PostgreSQL module.

As of https://eventsourcing.readthedocs.io/en/stable/topics/persistence.html: a factory of the
environment, `application_recorder()`, `insert_events` and `select_events` of stored events. It is
synchronous, so each client is a thread, over a pool of the same size.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from psycopg.conninfo import conninfo_to_dict

from benchmarks.harness.servers import CLIENTS, plain
from benchmarks.peers import load


@dataclass(frozen=True, slots=True)
class Recorder:
    """A recorder, and how far each aggregate has come."""

    recorder: Any
    versions: dict[UUID, count[int]]

    async def insert(self, aggregate: UUID, frames: Sequence[Mapping[str, Any]]) -> int:
        """Store frames as events of an aggregate, in one transaction."""
        versions = self.versions.setdefault(aggregate, count(1))
        stored = load("eventsourcing.persistence").StoredEvent

        def events() -> list[Any]:
            return [
                stored(
                    originator_id=aggregate,
                    originator_version=next(versions),
                    topic=frame["kind"],
                    state=json.dumps(frame).encode(),
                )
                for frame in frames
            ]

        await asyncio.to_thread(lambda: self.recorder.insert_events(events()))
        return len(frames)

    async def replay(self, aggregate: UUID, limit: int) -> int:
        """Read the events of an aggregate as they are stored, a page after the other."""
        return await asyncio.to_thread(self._replay, aggregate, limit)

    def _replay(self, aggregate: UUID, limit: int) -> int:
        after, found = 0, 0
        while True:
            page = self.recorder.select_events(aggregate, gt=after, limit=limit)
            found += sum(bool(event.state) for event in page)
            if len(page) < limit:
                return found
            after = page[-1].originator_version


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Recorder]:
    """Yield a recorder on an empty database."""
    place = conninfo_to_dict(plain(url))
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(place["dbname"]),
        "POSTGRES_HOST": str(place["host"]),
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": str(place["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(CLIENTS),
    }
    persistence, utils = load("eventsourcing.persistence"), load("eventsourcing.utils")
    factory = persistence.InfrastructureFactory.construct(utils.Environment("Peer", environment))
    try:
        yield Recorder(factory.application_recorder(), {})
    finally:
        factory.close()
