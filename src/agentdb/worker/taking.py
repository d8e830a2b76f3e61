"""Waiting for runs, and claiming them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

from agentdb.commits import to_the_end
from agentdb.driver_errors import may_pass
from agentdb.errors import AgentDBError, CommitUnknownError, TransientError, UnavailableError
from agentdb.hints import hints_of
from agentdb.ledger.queue.hints import READY
from agentdb.ledger.queue.repository import MAX_CLAIMED
from agentdb.ledger.queue.rows import QueueItem
from agentdb.unit_of_work import UnitOfWork
from agentdb.worker.leases import is_over
from agentdb.worker.terms import Source, Terms

PATIENCE = 30.0
"""Seconds for which a database that cannot be reached is asked again."""

RELEASED = {"code": "released"}
"""The error of a run that was claimed and given back: its worker was told to stop."""

_log = logging.getLogger(__name__)


class Taker:
    """Looks for runs: at once where a hint comes, and at the latest at the next poll."""

    def __init__(self, source: Source, terms: Terms) -> None:
        """Take note; nothing is claimed yet."""
        self._source = source
        self._terms = terms
        self._look = asyncio.Event()
        self._stopped = False
        self._failing_since: float | None = None

    def stop(self) -> None:
        """Look no more: `take` returns at once, and from now on."""
        self._stopped = True
        self._look.set()

    async def take(self, limit: int, within: float | None = None) -> list[QueueItem]:
        """Claim up to *limit* runs, and wait for the first of them.

        A caller that is cancelled leaves no run behind: what was claimed for it is given back.

        Args:
            limit: How many at the most.
            within: Seconds to wait; None waits until there is one.

        Returns:
            The runs; none when the time is over, or when it was told to stop.

        Raises:
            UnavailableError: The database could not be reached for 30 seconds.
        """
        deadline = None if within is None else time.monotonic() + within
        with hints_of(self._source.engine.sync_engine).waiting(READY, self._look):
            while not self._stopped:
                # What becomes ready after the look is heard.
                self._look.clear()
                if items := await self._try(limit):
                    return items
                if not await self._wait(deadline):
                    break
        return []

    async def _wait(self, deadline: float | None) -> bool:
        """Wait for a hint or for the next look; return whether there is time for one."""
        wait = self._terms.poll * random.uniform(0.75, 1.25)  # noqa: S311 -- jitter
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            wait = min(wait, left)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._look.wait()
        return True

    async def _try(self, limit: int) -> list[QueueItem]:
        try:
            items = await self._claim(limit)
        except (TransientError, UnavailableError, CommitUnknownError) as error:
            self._bear(error)
            return []
        self._failing_since = None
        return items

    def _bear(self, error: TransientError | UnavailableError | CommitUnknownError) -> None:
        """Go on polling through a failure that may pass."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        lasts = isinstance(error, UnavailableError) and not may_pass(error)
        if lasts or now - self._failing_since > PATIENCE:
            raise error
        _log.warning("no run could be claimed: %s", error)

    async def _claim(self, limit: int) -> list[QueueItem]:
        terms = self._terms
        most = min(limit, MAX_CLAIMED)

        async def claim(uow: UnitOfWork) -> list[QueueItem]:
            return await uow.conversation_run_queue_items.claim(
                lease=terms.lease, max_attempts=terms.max_attempts, limit=most
            )

        if terms.tenant is None:
            work = self._source.run(claim, reason="claim runs", single=True)
        else:
            work = self._source.run(claim, tenant=terms.tenant, single=True)
        claiming = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await to_the_end(self._give_back(claiming))
            raise

    async def _give_back(self, claiming: asyncio.Future[list[QueueItem]]) -> None:
        with suppress(AgentDBError):
            for item in await claiming:
                await release(self._source, item)


async def release(source: Source, item: QueueItem) -> None:
    """Make a claimed run ready again that has not failed, whatever attempt it was.

    Raises:
        LeaseLostError: The claim has ended.
    """

    async def give_back(uow: UnitOfWork) -> bool:
        await uow.conversation_run_queue_items.fail(
            item.id, item.attempt, RELEASED, max_attempts=item.attempt + 1
        )
        return True

    async def given_back(uow: UnitOfWork) -> bool | None:
        return await is_over(uow, item) or None

    await source.run(give_back, tenant=item.tenant_id, settle=given_back, single=True)
