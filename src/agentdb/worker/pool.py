"""Many runs at once in one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from agentdb.checks import check_count, check_seconds
from agentdb.commits import to_the_end
from agentdb.errors import LeaseLostError
from agentdb.ledger.queue.rows import QueueItem
from agentdb.worker.claims import Held
from agentdb.worker.taking import Taker, release
from agentdb.worker.terms import Terms

if TYPE_CHECKING:
    from agentdb.database import Database

Handler: TypeAlias = "Callable[[Database, QueueItem], Awaitable[object]]"
"""Works on a run; when it raises, the run is tried again."""

DRAIN = 30.0
"""Seconds that runs have to end in, when the worker is told to stop."""

_log = logging.getLogger(__name__)


class Worker:
    """Works on runs, as many at a time as it has slots, until it is told to stop.

    One task looks for all slots. A run that fails is logged and tried again, here or elsewhere, up
    to the number of attempts; the worker goes on.
    """

    def __init__(
        self,
        database: Database,
        handler: Handler,
        *,
        slots: int = 1,
        terms: Terms | None = None,
        drain: float = DRAIN,
    ) -> None:
        """Take note; nothing is claimed before `run`.

        Args:
            database: Where the queue is. Its pool needs a connection for each slot, and some more.
            handler: Called with the database and the run.
            slots: Runs at a time.
            terms: Lease, attempts and polling.
            drain: Seconds that runs have to end in after `stop`.

        Raises:
            InvalidValueError: There is no slot, or less than no time.
        """
        check_count(slots, "the number of slots")
        check_seconds(drain, "the time to end in")
        self._database = database
        self._handler = handler
        self._terms = terms or Terms()
        self._slots = slots
        self._drain = drain
        self._taker = Taker(database, self._terms)
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many runs are being worked on."""
        return len(self._running)

    def stop(self) -> None:
        """Claim no more; `run` returns when what runs has ended, or the time for it is over."""
        self._stopping.set()
        self._taker.stop()

    async def run(self) -> bool:
        """Work until `stop`.

        When this task is cancelled, the runs are cancelled too. A run that the worker cancels is
        ready for other workers, also after its last attempt: it did not fail.

        Returns:
            Whether all runs have ended by themselves; False if some were cancelled, because the
            time for them was over.

        Raises:
            UnavailableError: The database could not be reached for 30 seconds.
        """
        try:
            while not self._stopping.is_set():
                await self._start_some()
            return await self._drained()
        finally:
            await to_the_end(self._cancel())

    async def _start_some(self) -> None:
        """Wait for a free slot, then for runs, and begin with them."""
        if self.running == self._slots:
            await self._one_ended()
            return
        for item in await self._taker.take(self._slots - self.running):
            if self._stopping.is_set():
                await release(self._database, item)
                continue
            task = asyncio.create_task(self._work(item), name=f"agentdb-run-{item.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _one_ended(self) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({*self._running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _work(self, item: QueueItem) -> None:
        try:
            async with Held(self._database, self._terms, item, leaving=self._leaving):
                await self._handler(self._database, item)
        except LeaseLostError as error:
            _log.warning("run %d: %s", item.id, error)
        except Exception:  # noqa: BLE001 -- the host's; the worker goes on with other runs
            _log.exception("run %d failed at attempt %d", item.id, item.attempt)

    async def _drained(self) -> bool:
        if not self._running:
            return True
        _, left = await asyncio.wait(self._running, timeout=self._drain)
        return not left

    async def _cancel(self) -> None:
        self._leaving.set()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
