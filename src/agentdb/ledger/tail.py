"""Following a conversation: what is stored, then what is committed, as one sequence of frames."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from agentdb.conversations.rows import ConversationRef
from agentdb.driver_errors import may_pass
from agentdb.errors import CommitUnknownError, InvalidValueError, TransientError, UnavailableError
from agentdb.hints import hints_of
from agentdb.ledger.frames import check_event_id
from agentdb.ledger.payloads import Location, fill, locate_objects
from agentdb.ledger.replays import Position, Reading, checked_kinds, locate
from agentdb.ledger.rows import LedgerFrame, frames_topic
from agentdb.ledger.values import TERMINAL_KINDS
from agentdb.objects import ObjectStore
from agentdb.unit_of_work import UnitOfWork

PAGE = 500
"""Frames read at a time; as many wait in memory for a slow consumer."""

FIRST_WAIT = 0.01
"""Seconds until it looks again after a frame; doubled each time there is none."""

PATIENCE = 30.0
"""Seconds for which a database that cannot be reached is asked again."""


class Source(Protocol):
    """What a tail needs of a database."""

    @property
    def engine(self) -> AsyncEngine:
        """The engine, whose units of work give the hints."""
        ...

    def read(
        self, *, tenant: UUID | None = None, reason: str | None = None
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work that sees one snapshot and writes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a tail follows, and from where; the arguments of `Database.tail`."""

    ref: ConversationRef
    tenant: UUID
    after: str | None
    stream_id: str | None
    last_event_id: int | None
    workflow_run_id: str | None
    kinds: Collection[str] | None
    store: ObjectStore | None
    until_terminal: bool
    poll: float

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InvalidValueError: It does.
        """
        if self.after is not None and self.last_event_id is not None:
            raise InvalidValueError("a tail begins at a cursor or at an event, not at both")
        if self.last_event_id is not None and self.stream_id is None:
            raise InvalidValueError("the last event id needs its stream")
        if self.last_event_id is not None:
            check_event_id(self.last_event_id)
        if type(self.poll) not in {int, float} or not self.poll > 0:
            raise InvalidValueError("the time between two looks is more than 0 seconds")
        kinds = None if self.kinds is None else checked_kinds(self.kinds)
        if self.until_terminal and kinds is not None and not TERMINAL_KINDS.issubset(kinds):
            raise InvalidValueError("without the terminal kinds it would not end")


class Tail:
    """Yields the frames of a conversation as they are committed; made by `Database.tail`.

    Between two reads it holds neither a transaction nor a connection. It can be closed from another
    task, and is done after any error.
    """

    def __init__(self, database: Source, wanted: Wanted, stop: asyncio.Event | None) -> None:
        """Take note; nothing is read before the first frame is asked for."""
        wanted.check()
        if not isinstance(stop, asyncio.Event | None):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
            raise InvalidValueError("a tail is stopped by an asyncio.Event")
        self._database = database
        self._wanted = wanted
        self._stop = stop
        self._look = asyncio.Event()
        self._closed = False
        self._ready: deque[LedgerFrame] = deque()
        self._objects: dict[UUID, Location] = {}
        self._reading: Reading | None = None
        self._position = Position()
        self._seen = Position()
        self._first_wait = self._wait = min(FIRST_WAIT, wanted.poll)
        self._failing_since: float | None = None

    @property
    def cursor(self) -> str | None:
        """Continues after the last frame that was yielded, or where the tail began.

        For a later tail or replay with the same filters. None before it has looked, unless it was
        given one.
        """
        return self._reading.encode(self._seen) if self._reading else self._wanted.after

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it; a task that waits for the next frame finds the end."""
        self._closed = True
        self._look.set()

    async def __anext__(self) -> LedgerFrame:
        """Return the next frame, once it is committed.

        Raises:
            StopAsyncIteration: It was closed or told to stop, or the stream has ended.
            ResyncRequiredError: The reader's position was truncated away or purged.
            NotFoundError: There is no such conversation, or the store has lost an object.
            InvalidCursorError: The cursor is damaged or of another conversation or choice.
            CorruptObjectError: An object is not the one that was recorded.
            UnavailableError: The database could not be reached for 30 seconds.
        """
        try:
            while not self._ready and not self._ended():
                await self._read_or_wait()
            frame = None if self._ended() else await self._next()
        except BaseException as error:
            # A cancelled reader may ask again: what it was not given is still to come.
            self._closed = self._closed or not isinstance(error, asyncio.CancelledError)
            raise
        if frame is None:
            raise StopAsyncIteration
        return frame

    def _ended(self) -> bool:
        return self._closed or (self._stop is not None and self._stop.is_set())

    async def _next(self) -> LedgerFrame:
        frame = self._ready[0]
        if self._wanted.store is not None:
            frame = await fill(frame, self._objects, self._wanted.store)
        self._ready.popleft()
        self._seen = Position(frame.id, self._position.floor)
        self._closed = self._wanted.until_terminal and frame.kind in TERMINAL_KINDS
        return frame

    async def _read_or_wait(self) -> None:
        """Read what follows; if there is nothing, wait for a hint, the end or the next look."""
        self._look.clear()
        with self._listening():  # who commits between the read and the wait is heard
            await self._read()
            if not self._ready and not self._ended():
                await self._pause()

    def _listening(self) -> AbstractContextManager[None]:
        if self._reading is None:
            return nullcontext()
        hints = hints_of(self._database.engine.sync_engine)
        return hints.waiting(frames_topic(self._reading.conversation), self._look)

    async def _read(self) -> None:
        try:
            async with self._database.read(tenant=self._wanted.tenant) as uow:
                await self._fetch(uow)
        except (TransientError, UnavailableError, CommitUnknownError) as error:
            self._bear(error)
        else:
            self._failing_since = None

    def _bear(self, error: TransientError | UnavailableError | CommitUnknownError) -> None:
        """Go on polling through a failure that may pass."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        lasts = isinstance(error, UnavailableError) and not may_pass(error)
        if lasts or now - self._failing_since > PATIENCE:
            raise error

    async def _fetch(self, uow: UnitOfWork) -> None:
        reading = self._reading or await self._begin(uow)
        page = await reading.page(uow, self._position, PAGE)
        if self._wanted.store is not None:
            self._objects = await locate_objects(uow, page)
        if page.items:
            self._ready.extend(page)
            self._position = Position(page.items[-1].id, self._position.floor)
            self._wait = self._first_wait

    async def _begin(self, uow: UnitOfWork) -> Reading:
        wanted = self._wanted
        reading = Reading.of(
            await locate(uow, wanted.ref, None),
            workflow_run_id=wanted.workflow_run_id,
            stream_id=wanted.stream_id,
            kinds=wanted.kinds,
        )
        position = reading.decode(wanted.after)
        if wanted.last_event_id is not None:
            position = await reading.after_event(uow, wanted.last_event_id)
        if wanted.until_terminal and wanted.stream_id is not None:
            last = await reading.at(uow, position)
            self._closed = self._closed or (last is not None and last.kind in TERMINAL_KINDS)
        self._reading, self._position, self._seen = reading, position, position
        return reading

    async def _pause(self) -> None:
        waits = [asyncio.ensure_future(self._look.wait())]
        if self._stop is not None:
            waits.append(asyncio.ensure_future(self._stop.wait()))
        try:
            await asyncio.wait(waits, timeout=self._wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._wait = min(2 * self._wait, self._wanted.poll)
