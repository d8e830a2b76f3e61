"""SQLite: append a message, append frames, replay them; by one writer and by eight.

The baseline is sqlite3 with a whole transaction in one hop, to one thread. All write in WAL mode
with `synchronous = FULL`, the default of SQLite, which the sessions of the OpenAI Agents SDK leave.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import UUID

from agentdb import Database, Settings
from benchmarks.append_ledger import our_append as our_frames
from benchmarks.append_message import CONTENT, SINGLE, our_append
from benchmarks.frames import BATCH, new_batch
from benchmarks.harness import (
    CLIENTS,
    Bench,
    Case,
    Goal,
    at_once,
    conversations_in,
    new_tenant,
    peer_cases,
    repeat,
)
from benchmarks.peers import openai_agents
from benchmarks.peers.openai_agents import Sessions
from benchmarks.replay import PAGE, our_replay, store

T = TypeVar("T")

SETTINGS = Settings(pool_size=CLIENTS, synchronous="FULL", busy_timeout=60.0)

COUNT = """
    UPDATE agent_conversations SET message_count = message_count + 1, last_message_at = :at
    WHERE id = :conversation RETURNING message_count - 1
"""
SEGMENT = """
    SELECT id, tenant_id FROM conversation_ledger_segments
    WHERE conversation_id = ? AND truncated_at IS NULL
"""
APPEND = """
    INSERT INTO agent_messages
        (conversation_id, segment_id, position, role, content, attachments, created_at)
    VALUES (?, ?, ?, 'user', ?, '[]', ?) RETURNING id, position, created_at
"""
FRAME = """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, payload_size_bytes, payload_json, ingested_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (conversation_id, stream_id, event_id) DO NOTHING
"""
SELECT = """
    SELECT e.id, e.stream_id, e.event_id, e.kind, e.server_timestamp, e.ingested_at, e.response_id,
           e.agent, e.workflow_run_id, e.payload_object_id, e.payload_size_bytes, e.payload_json
    FROM conversation_ledger_events e
    JOIN conversation_ledger_segments s ON s.id = e.segment_id
    WHERE e.tenant_id = ? AND e.conversation_id = ? AND e.id > ?
        AND (s.truncated_at IS NULL OR e.id <= s.visible_through_event_id)
    ORDER BY e.id LIMIT ?
"""
AT = "2026-01-01 00:00:00.000000"

ONE, EIGHT = "append a message, one writer", "append a message, eight writers"
LEDGER, REPLAY = "append frames in batches of 100", "replay 10,000 frames in pages of 500"
BASE = "sqlite3, one hop"
ALCHEMY = "OpenAI Agents SQLAlchemySession"
AGENTS = "OpenAI Agents SQLiteSession"

GOALS = (
    *(Goal(title, BASE, 0.5, SINGLE) for title in (ONE, EIGHT)),
    *(Goal(title, ALCHEMY, 5, SINGLE) for title in (ONE, EIGHT)),
    *(Goal(title, AGENTS, 1, SINGLE) for title in (ONE, EIGHT)),
    Goal(LEDGER, BASE, 0.75),
    Goal(REPLAY, BASE, 0.6),
)


@contextmanager
def transaction(raw: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Generator[None]:
    """Commit what the block does."""
    raw.execute(begin)
    yield
    raw.execute("COMMIT")


def raw_append(raw: sqlite3.Connection, conversation: str) -> None:
    """Append a message on the driver."""
    with transaction(raw):
        segment, _ = raw.execute(SEGMENT, [conversation]).fetchone()
        counted = raw.execute(COUNT, {"at": AT, "conversation": conversation}).fetchone()
        raw.execute(APPEND, [conversation, segment, *counted, CONTENT, AT]).fetchall()


def raw_frames(raw: sqlite3.Connection, conversation: str) -> int:
    """Append frames on the driver."""
    with transaction(raw):
        segment, tenant = raw.execute(SEGMENT, [conversation]).fetchone()
        rows: list[list[Any]] = []
        for frame in new_batch():
            payload = json.dumps(frame)
            row = [tenant, conversation, segment, frame["schema"], frame["kind"]]
            rows.append(
                [*row, frame["stream_id"], frame["event_id"], AT, len(payload), payload, AT]
            )
        raw.executemany(FRAME, rows)
    return BATCH


def raw_replay(raw: sqlite3.Connection, tenant: str, conversation: str) -> int:
    """Read all frames on the driver, parsed."""
    after, found = 0, 0
    while True:
        with transaction(raw, "BEGIN"):
            rows = raw.execute(SELECT, [tenant, conversation, after, PAGE]).fetchall()
        found += sum(json.loads(row[-1]) is not None for row in rows)
        if len(rows) < PAGE:
            return found
        after = rows[-1][0]


def connected(file: Path) -> sqlite3.Connection:
    """Connect with the driver alone, to be used by one thread at a time."""
    raw = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=60)
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    return raw


@asynccontextmanager
async def migrated(file: Path) -> AsyncGenerator[Database]:
    """Yield a migrated file."""
    async with Database(f"sqlite:///{file}", settings=SETTINGS) as database:
        await database.upgrade()
        yield database


@dataclass(frozen=True, slots=True)
class Files:
    """Everybody's files, in one folder.

    Attributes:
        database: agentdb.
        raw: A connection of the driver to the same file.
        thread: Where it is used: one thread, so that writers queue up instead of meeting a lock.
        tenant: The tenant.
        mine: Conversations that agentdb writes to.
        others: Conversations that the driver writes to.
    """

    database: Database
    raw: sqlite3.Connection
    thread: Executor
    tenant: UUID
    mine: Sequence[UUID]
    others: Sequence[str]

    async def hop(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do all of some work on the driver, in one hop to its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, work, self.raw, *arguments)

    async def theirs(self, each: int, writers: Sequence[int]) -> int:
        """Append messages on the driver."""

        async def write(number: int) -> int:
            return await repeat(each, lambda: self.hop(raw_append, self.others[number]))

        return await at_once(writers, write)

    async def ours(self, each: int, writers: Sequence[int], *, single: bool = False) -> int:
        """Append messages by the verb."""
        append = partial(our_append, self.database, self.tenant, single=single)

        async def write(number: int) -> int:
            return await repeat(each, partial(append, self.mine[number]))

        return await at_once(writers, write)

    def lost(self) -> int:
        """Return how many messages were counted and are not there."""
        counted = "SELECT sum(message_count) - (SELECT count(*) FROM agent_messages)"
        (lost,) = self.raw.execute(f"{counted} FROM agent_conversations").fetchone()
        return int(lost)


@asynccontextmanager
async def files(folder: Path) -> AsyncGenerator[Files]:
    """Yield a migrated file with conversations for agentdb and for the driver."""
    file = folder / "agentdb.sqlite3"
    async with migrated(file) as database:
        tenant = await new_tenant(database)
        conversations = await conversations_in(database, tenant, 2 * CLIENTS)
        others = [key.hex for key in conversations[CLIENTS:]]
        with closing(connected(file)) as raw, ThreadPoolExecutor(max_workers=1) as thread:
            yield Files(database, raw, thread, tenant, conversations[:CLIENTS], others)


async def measure(bench: Bench) -> None:
    """Measure messages by one writer and by eight, then frames."""
    with TemporaryDirectory() as folder:
        async with files(Path(folder)) as place:
            await _messages(bench, place, folder)
            await _frames(bench, place)
            lost = place.lost()
            bench.facts.append(f"messages lost by eight writers: {lost}")


async def _messages(bench: Bench, place: Files, folder: str) -> None:
    url = f"sqlite:///{folder}/sqlalchemy.sqlite3"
    alchemy = await bench.open(ALCHEMY, openai_agents.sqlalchemy_sessions(url))
    agents = await bench.open(AGENTS, openai_agents.sqlite_sessions(f"{folder}/agents.sqlite3"))
    for title, writers in ((ONE, range(1)), (EIGHT, range(CLIENTS))):
        each = bench.size(100 // len(writers), 2)
        cases = [
            Case(BASE, partial(place.theirs, each, writers), "baseline"),
            Case("agentdb", partial(place.ours, each, writers)),
            Case(SINGLE, partial(place.ours, each, writers, single=True)),
            *peer_cases(ALCHEMY, alchemy, Sessions.append, writers, each, same=False),
            *peer_cases(AGENTS, agents, Sessions.append, writers, each, same=False),
        ]
        await bench.compare(title, cases, unit="messages")


async def _frames(bench: Bench, place: Files) -> None:
    batches = bench.size(20, 1)
    theirs = partial(place.hop, raw_frames, place.others[0])
    ours = partial(our_frames, place.database, place.tenant, place.mine[0])
    cases = [
        Case(BASE, partial(repeat, batches, theirs), "baseline"),
        Case("agentdb", partial(repeat, batches, ours)),
    ]
    await bench.compare(LEDGER, cases, unit=f"batches of {BATCH}")
    last = place.mine[-1]
    await store(place.database, place.tenant, last, bench.size(10_000, 1000))
    replay = partial(place.hop, raw_replay, place.tenant.hex, last.hex)
    cases = [
        Case(BASE, replay, "baseline"),
        Case("agentdb", partial(our_replay, place.database, place.tenant, last, parsed=True)),
    ]
    await bench.compare(REPLAY, cases, unit="frames")
