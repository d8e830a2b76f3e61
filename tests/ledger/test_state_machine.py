"""The ledger against a model that knows no segments: what is visible, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import InvalidTransitionError, ResyncRequiredError
from agentdb.ledger.rows import LedgerPage
from agentdb.maintenance import purge_truncated
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, truncate_from
from tests.ledger.conversations import begun
from tests.ledger.frames import frame
from tests.machines import run_machine

T = TypeVar("T")
STREAMS = ("s1", "s2", "s3")
INLINE = 500


@dataclass
class Entry:
    """A message or a frame, in the order of the appends.

    Attributes:
        row: Its row in the database.
        place: Stream and event id of a frame; None for a message.
        role: Who speaks in a message.
        payload: The frame.
        visible: Whether no truncation has hidden it.
    """

    row: int
    place: tuple[str, int] | None = None
    role: str | None = None
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    visible: bool = True


@dataclass
class Reader:
    """A reader of one stream, or of all.

    Attributes:
        cursor: Where it goes on.
        stream: Its stream; None for all.
        last: The frame that it has seen last.
        floor: Events of its stream that it has seen before they were recorded.
    """

    cursor: str
    stream: str | None
    last: Entry | None = None
    floor: int = 0


class Ledger(RuleBasedStateMachine):
    """One conversation; rules do to it what clients do, and compare it with the model."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.key = "chat"
        self.tenant = self.run(self._new_tenant())
        self.store = MemoryObjectStore()
        self.entries: list[Entry] = []
        self.readers: list[Reader] = []
        self.messages = 0
        self.work(self._begin)

    def work(self, call: Any) -> Any:
        """Run a coroutine function in a unit of work of its own."""

        async def unit() -> Any:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await call(uow)

        return self.run(unit())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        return self.runner.run(coroutine)

    async def _new_tenant(self) -> UUID:
        async with self.database.begin_system(reason="test") as uow:
            return (await uow.tenant_accounts.create("Model", f"model-{uuid4()}")).id

    async def _begin(self, uow: UnitOfWork) -> None:
        await begun(uow, self.key)

    def frames(self, stream: str | None = None) -> list[Entry]:
        """Return the visible frames of the model."""
        return [
            entry
            for entry in self.entries
            if entry.place and entry.visible and stream in {None, entry.place[0]}
        ]

    @rule(role=st.sampled_from(["user", "assistant"]))
    def append_message(self, role: str) -> None:
        """Store a message behind everything else."""

        async def append(uow: UnitOfWork) -> int:
            (row,) = await uow.agent_messages.append(
                self.key, [NewMessage(role=role, content="text")]
            )
            assert row.position == self.messages
            return row.id

        self.entries.append(Entry(self.work(append), role=role))
        self.messages += 1

    @rule(
        stream=st.sampled_from(STREAMS),
        events=st.sets(st.integers(1, 12), min_size=1, max_size=6),
        large=st.booleans(),
    )
    def append_frames(self, stream: str, events: set[int], large: bool) -> None:
        """Store a batch in which some frames may be recorded already."""
        given = [
            frame(event, stream, text="x" * 2 * INLINE * large, n=len(self.entries))
            for event in sorted(events)
        ]

        async def append(uow: UnitOfWork) -> Any:
            return await append_ledger(uow, self.key, given, store=self.store, inline_limit=INLINE)

        known = {entry.place: entry for entry in self.entries if entry.place}
        for item, recorded in zip(given, self.work(append), strict=True):
            place = stream, item["event_id"]
            assert recorded.inserted == (place not in known)
            if recorded.inserted:
                self.entries.append(Entry(recorded.id, place, payload=item))
            else:
                assert recorded.id == known[place].row

    @rule(choice=st.integers(0, 1000))
    def truncate(self, choice: int) -> None:
        """Cut at a message; what follows it is hidden, or nothing is if it cannot be cut."""
        messages = [entry for entry in self.entries if entry.role]
        if not messages:
            return
        message = messages[choice % len(messages)]

        async def cut(uow: UnitOfWork) -> Any:
            return await truncate_from(uow, self.key, message.row)

        if not message.visible or message.role != "user":
            with pytest.raises(InvalidTransitionError):
                self.work(cut)
            return
        behind = self.entries[self.entries.index(message) :]
        gone = [entry for entry in behind if entry.visible]
        for entry in gone:
            entry.visible = False
        done = self.work(cut)
        assert done.hidden_events == sum(1 for entry in gone if entry.place)
        assert done.hidden_messages == sum(1 for entry in gone if entry.role)
        assert done.remaining == sum(1 for e in self.entries if e.role and e.visible)

    @rule()
    def purge(self) -> None:
        """Delete what is hidden; what is visible does not change."""
        hidden = [entry for entry in self.entries if not entry.visible]
        report = self.run(
            purge_truncated(self.database, older_than=timedelta(0), tenant_id=self.tenant, batch=7)
        )
        self.entries = [entry for entry in self.entries if entry.visible]
        assert report.counts["messages"] == sum(1 for entry in hidden if entry.role)
        assert report.counts["frames"] == sum(1 for entry in hidden if entry.place)

    @rule(stream=st.sampled_from(STREAMS), last=st.integers(0, 14), limit=st.integers(1, 5))
    def resume(self, stream: str, last: int, limit: int) -> None:
        """Go on after the last event of a client, and keep the cursor."""

        async def read(uow: UnitOfWork) -> LedgerPage:
            ledger = uow.conversation_ledger_events
            return await ledger.resume(self.key, stream, last, limit=limit, store=self.store)

        recorded = [e for e in self.entries if e.place and e.place[0] == stream]
        found = next((e for e in recorded if e.place == (stream, last)), None)
        newest = max((e.place[1] for e in recorded if e.place), default=0)
        if found and not found.visible or not found and 0 < last <= newest:  # noqa: RUF021
            with pytest.raises(ResyncRequiredError):
                self.work(read)
            return
        reader = Reader("", stream, found, 0 if found else last)
        self._check(reader, self.work(read), limit)
        self.readers.append(reader)

    @rule(stream=st.sampled_from([None, *STREAMS]), limit=st.integers(1, 5))
    def replay(self, stream: str | None, limit: int) -> None:
        """Begin to read, and keep the cursor."""

        async def read(uow: UnitOfWork) -> LedgerPage:
            ledger = uow.conversation_ledger_events
            return await ledger.replay(self.key, stream_id=stream, limit=limit, store=self.store)

        reader = Reader("", stream)
        self._check(reader, self.work(read), limit)
        self.readers.append(reader)

    @rule(choice=st.integers(0, 1000), limit=st.integers(1, 5))
    def read_on(self, choice: int, limit: int) -> None:
        """Let a reader go on, unless its position was hidden or purged."""
        if not self.readers:
            return
        reader = self.readers[choice % len(self.readers)]

        async def read(uow: UnitOfWork) -> LedgerPage:
            return await uow.conversation_ledger_events.replay(
                self.key,
                after=reader.cursor,
                stream_id=reader.stream,
                limit=limit,
                store=self.store,
            )

        if reader.last is not None and not reader.last.visible:
            self.readers.remove(reader)
            with pytest.raises(ResyncRequiredError):
                self.work(read)
            return
        self._check(reader, self.work(read), limit)

    def _check(self, reader: Reader, page: LedgerPage, limit: int) -> None:
        frames = self.frames(reader.stream)
        if reader.last is not None:
            frames = frames[frames.index(reader.last) + 1 :]
        frames = [e for e in frames if e.place and e.place[1] > reader.floor]
        assert [item.id for item in page] == [entry.row for entry in frames[:limit]]
        assert [item.payload for item in page] == [entry.payload for entry in frames[:limit]]
        assert page.more == (len(frames) > limit)
        reader.cursor = page.cursor
        if page.items:
            reader.last = frames[: len(page)][-1]

    @invariant()
    def transcript_is_visible_messages(self) -> None:
        """The transcript is what the model shows."""

        async def read(uow: UnitOfWork) -> list[int]:
            page = await uow.agent_messages.transcript(self.key, limit=500)
            return [row.id for row in page]

        assert self.work(read) == [e.row for e in self.entries if e.role and e.visible]


@pytest.mark.agentdb_commits
def test_the_ledger_behaves_as_its_model(agentdb_database: Database) -> None:
    """Appends, retries, truncations, purges, replays and resumes, in any order."""
    run_machine(Ledger, agentdb_database, steps=30)
