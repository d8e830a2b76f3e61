"""Sessions that take turns step by step, so that an interleaving is the same in every run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Generic, Self, TypeAlias, TypeVar

from agentdb.database import Database
from agentdb.errors import DeadlineError
from agentdb.testing.waits import LockWatch, watch

T = TypeVar("T")

Pause: TypeAlias = Callable[[], Awaitable[None]]
"""Ends a step: returns when the next one begins."""


class StepState(StrEnum):
    """Where a session stands."""

    PAUSED = "paused"
    """At a pause, or before its first step."""
    WAITING = "waiting"
    """In a statement that waits for a lock which another session holds."""
    DONE = "done"
    """At its end: it has returned or raised."""


class StepRunner(Generic[T]):
    """Runs sessions in steps: each goes on alone to its next pause while the others stand still.

    A session is a function that awaits its argument wherever another session may come in between::

        async def rename(pause: Pause) -> None:
            async with database.begin(tenant=tenant) as unit:
                row = await unit.agent_conversations.require(key, lock=True)
                await pause()
                row.display_name = "renamed"

        async with StepRunner(database, one=rename, two=rename) as runner:
            assert await runner.step("one") == "paused"
            assert await runner.step("two") == "waiting"
            assert await runner.step("one") == "done"

    Whether a session waits is asked of PostgreSQL, so it makes no difference how fast the machine
    is. SQLite cannot be asked: there a session waits if it has asked for the write lock that
    another of the sessions has been given. The sessions need connections of their own, so the test
    carries ``agentdb_commits``.
    """

    def __init__(
        self,
        database: Database,
        *,
        timeout: float = 10.0,
        **sessions: Callable[[Pause], Awaitable[T]],
    ) -> None:
        """Take note of the sessions; none begins before its first step.

        Args:
            database: What they work on.
            timeout: Seconds in which a step must come to its pause, its end or a lock.
            **sessions: The sessions by name.
        """
        self._database = database
        self._timeout = timeout
        self._functions = sessions
        self._sessions: dict[str, _Session[T]] = {}

    async def __aenter__(self) -> Self:
        """Watch the connections of the sessions."""
        self._watch: LockWatch = watch(self._database)
        self._sessions = {name: _Session(work) for name, work in self._functions.items()}
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the sessions that are not at their end."""
        tasks = [session.task for session in self._sessions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._watch.close()

    async def step(self, name: str) -> StepState:
        """Let a session go on, and return where it stands when all of them stand still.

        A session that waits for a lock is not let on; it goes on by itself when it gets the lock,
        within the step of another session that gives it up.

        Raises:
            DeadlineError: Some session neither came to a pause nor waits for a lock.
        """
        session = self._sessions[name]
        if session.state is StepState.PAUSED:
            session.go_on()
        await self._settle()
        return session.state

    async def run(self, order: Iterable[str]) -> list[StepState]:
        """Take a step of each name in turn, and return what each step led to."""
        return [await self.step(name) for name in order]

    def state(self, name: str) -> StepState:
        """Return where a session stands."""
        return self._sessions[name].state

    async def finish(self) -> dict[str, T | BaseException]:
        """Let all sessions run to their ends, and return what they returned or raised.

        Raises:
            DeadlineError: They did not end in time.
        """
        for session in self._sessions.values():
            session.run_on()
        tasks = {name: session.task for name, session in self._sessions.items()}
        _, late = await asyncio.wait(tasks.values(), timeout=self._timeout)
        if late:
            raise DeadlineError("the sessions did not end in time")
        found = await asyncio.gather(*tasks.values(), return_exceptions=True)
        return dict(zip(tasks, found, strict=True))

    async def _settle(self) -> None:
        """Return when every session has paused, has ended or waits for a lock."""
        try:
            async with asyncio.timeout(self._timeout):
                while running := self._running():
                    waiting = await self._watch.waiting({session.task for session in running})
                    # One that has paused since may have given the lock up.
                    if self._running() == running and len(waiting) == len(running):
                        break
                    await _any_of(running)
        except TimeoutError:
            raise DeadlineError("a session neither paused nor waits for a lock") from None
        for session in running:
            session.state = StepState.WAITING

    def _running(self) -> list[_Session[T]]:
        sessions = self._sessions.values()
        for session in sessions:
            session.look()
        return [session for session in sessions if session.runs]


class _Session(Generic[T]):
    """One session, as a task that starts at its first step."""

    def __init__(self, work: Callable[[Pause], Awaitable[T]]) -> None:
        self.state = StepState.PAUSED
        self.paused = asyncio.Event()
        self._next = asyncio.Event()
        self._free = False
        self.paused.set()
        self.task = asyncio.ensure_future(self._run(work))

    @property
    def runs(self) -> bool:
        """Whether it is neither at a pause nor at its end."""
        return not (self.paused.is_set() or self.task.done())

    def look(self) -> None:
        """Note where it has come to by itself."""
        if self.task.done():
            self.state = StepState.DONE
        elif self.paused.is_set():
            self.state = StepState.PAUSED

    def go_on(self) -> None:
        """Begin the next step."""
        self.paused.clear()
        self._next.set()

    def run_on(self) -> None:
        """Begin the next step, and pause no more."""
        self._free = True
        self.go_on()

    async def _run(self, work: Callable[[Pause], Awaitable[T]]) -> T:
        await self._turn()
        return await work(self._pause)

    async def _pause(self) -> None:
        if not self._free:
            self.paused.set()
            await self._turn()

    async def _turn(self) -> None:
        await self._next.wait()
        self._next.clear()


_MOMENT = 0.005
"""Seconds between two questions to the server while a session is at work."""


async def _any_of(running: list[_Session[T]]) -> None:
    """Return when one of the sessions stands still, or after a moment."""
    steps = [asyncio.ensure_future(session.paused.wait()) for session in running]
    tasks = [session.task for session in running]
    await asyncio.wait([*steps, *tasks], timeout=_MOMENT, return_when=asyncio.FIRST_COMPLETED)
    for step in steps:
        step.cancel()
    await asyncio.gather(*steps, return_exceptions=True)
