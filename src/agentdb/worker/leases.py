"""Keeping a claim alive, and noticing that it has ended."""

from __future__ import annotations

import asyncio
import logging
import time

from agentdb.errors import AgentDBError, LeaseLostError
from agentdb.ledger.queue.rows import QueueItem, queue_item
from agentdb.ledger.values import QueueItemStatus
from agentdb.unit_of_work import UnitOfWork
from agentdb.worker.terms import Source, Terms

_log = logging.getLogger(__name__)

PARTS = 3
"""A lease is renewed after this part of it, so that one renewal may fail."""


class LeaseKeeper:
    """Renews the lease of a run, each time in a short unit of its own, until it is told to stop.

    When the claim has ended, or could not be renewed for as long as it lasts, it cancels the task
    that works on the run: somebody else may be at it.

    Attributes:
        lost: Why the claim has ended; None while it stands.
    """

    def __init__(
        self, source: Source, terms: Terms, item: QueueItem, worker: asyncio.Task[object]
    ) -> None:
        """Begin; *worker* is the task that works on the run."""
        self.lost: LeaseLostError | None = None
        self._source = source
        self._lease = terms.lease.total_seconds()
        self._item = item
        self._worker = worker
        self._alive = time.monotonic()
        self._stopped = False
        self._task = asyncio.create_task(self._keep(), name=f"agentdb-lease-{item.id}")

    async def stop(self) -> None:
        """Renew no more."""
        # A statement that is interrupted may raise its own error in place of the cancellation.
        self._stopped = True
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _keep(self) -> None:
        wait = self._lease / PARTS
        while self.lost is None and not self._stopped:
            await asyncio.sleep(wait)
            try:
                if not await self._beat():
                    return
            except LeaseLostError as error:
                self._lose(error)
            except (AgentDBError, TimeoutError) as error:
                self._bear(error)

    async def _beat(self) -> bool:
        """Renew the lease; return False where the work on the run is over anyway."""
        sent = time.monotonic()
        # A process that stood still asks once more: perhaps nobody has taken the run over.
        left = max(self._alive + self._lease - sent, self._lease / PARTS)
        async with asyncio.timeout(left):
            alive = await self._source.run(self._renew, tenant=self._item.tenant_id, single=True)
        self._alive = sent
        return alive

    async def _renew(self, uow: UnitOfWork) -> bool:
        queue = uow.conversation_run_queue_items
        try:
            await queue.heartbeat(self._item.id, self._item.attempt)
        except LeaseLostError:
            if await is_ended(uow, self._item):
                return False
            raise
        return True

    def _bear(self, error: AgentDBError | TimeoutError) -> None:
        """Go on through a failure, until the lease has ended by the clock of this process."""
        if time.monotonic() - self._alive < self._lease:
            _log.warning("the lease of run %d was not renewed: %s", self._item.id, error)
            return
        message = "the claim of the run has ended: its lease could not be renewed"
        lost = LeaseLostError(message, reason="reclaimed")
        lost.__cause__ = error
        self._lose(lost)

    def _lose(self, error: LeaseLostError) -> None:
        self.lost = error
        self._worker.cancel()


async def is_ended(uow: UnitOfWork, item: QueueItem) -> bool:
    """Whether the worker of the run has ended it itself, while the claim stood."""
    row = await uow.conversation_run_queue_items.get(item.id)
    return row is not None and queue_item(row).ended_by(item.attempt)


async def is_over(uow: UnitOfWork, item: QueueItem) -> bool:
    """Whether the claim of the run has ended, whoever ended it."""
    row = await uow.conversation_run_queue_items.get(item.id)
    if row is None:
        return True
    found = queue_item(row)
    return found.status != QueueItemStatus.RUNNING or found.attempt != item.attempt
