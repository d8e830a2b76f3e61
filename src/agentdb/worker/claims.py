"""A claim as a block: claim a run, keep it, end it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from agentdb.commits import to_the_end
from agentdb.errors import AgentDBError, ConfigurationError, LeaseLostError
from agentdb.ledger.queue.rows import QueueItem
from agentdb.types import JsonObject
from agentdb.unit_of_work import UnitOfWork
from agentdb.worker.leases import LeaseKeeper, is_ended, is_over
from agentdb.worker.taking import Taker, release
from agentdb.worker.terms import Source, Terms

_log = logging.getLogger(__name__)

Work = Callable[[UnitOfWork], Awaitable[bool | None]]
"""What a unit does."""

MAX_MESSAGE = 1000
"""Characters of an exception's text that its run keeps."""


class Held:
    """A claimed run while the block works on it.

    Completed when the block ends, failed with a retry when it raises; a cancelled block fails too,
    so that another worker can go on at once. What ends the run runs to its end, whatever happens to
    the task. A block may end the run itself, in the unit of its last writes.
    """

    def __init__(
        self,
        source: Source,
        terms: Terms,
        item: QueueItem,
        *,
        leaving: asyncio.Event | None = None,
    ) -> None:
        """Take over the claim.

        Args:
            source: The database.
            terms: What was agreed on.
            item: The run.
            leaving: Set when the worker cancels its blocks because it ends: the run is given back,
                and has not failed.
        """
        self._leaving = leaving
        self._source = source
        self._terms = terms
        self._item = item
        self._keeper: LeaseKeeper | None = None
        self._cancelling = 0

    async def __aenter__(self) -> QueueItem:
        worker = asyncio.current_task()
        if worker is None:  # pragma: no cover -- a coroutine that no event loop runs
            raise ConfigurationError("a run is worked on in a task of asyncio")
        self._worker = worker
        self._cancelling = worker.cancelling()
        if self._terms.heartbeat:
            self._keeper = LeaseKeeper(self._source, self._terms, self._item, worker)
        return self._item

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the run.

        Raises:
            LeaseLostError: The claim had ended; what the block wrote in units of its own stays.
        """
        cancelled = error if isinstance(error, asyncio.CancelledError) else None
        try:
            await to_the_end(self._end(error))
        except asyncio.CancelledError as raised:
            cancelled = raised
        lost = self._keeper.lost if self._keeper else None
        if lost is None:
            if cancelled is not None:
                raise cancelled
            return
        # As asyncio.timeout does: the cancellation was ours, unless others asked for one too.
        asked = self._worker.uncancel() > self._cancelling
        if cancelled is not None and asked:
            raise cancelled
        raise lost from error

    async def _end(self, error: BaseException | None) -> None:
        if self._keeper is not None:
            await self._keeper.stop()
            if self._keeper.lost is not None:
                return
        if error is None:
            await self._run(self._complete, settle=self._completed)
            return
        try:
            await self._give_up(error)
        except LeaseLostError:
            return  # so the run has ended, or is another's; the block's error tells more
        except AgentDBError as failure:
            _log.warning("run %d is left to its lease: %s", self._item.id, failure)

    async def _give_up(self, error: BaseException) -> None:
        leaving = self._leaving is not None and self._leaving.is_set()
        if leaving and isinstance(error, asyncio.CancelledError):
            await release(self._source, self._item)
        else:
            await self._run(lambda uow: self._fail(uow, error), settle=self._failed)

    async def _run(self, work: Work, *, settle: Work) -> None:
        await self._source.run(work, tenant=self._item.tenant_id, settle=settle, single=True)

    async def _complete(self, uow: UnitOfWork) -> bool:
        try:
            await uow.conversation_run_queue_items.complete(self._item.id, self._item.attempt)
        except LeaseLostError:
            if not await is_ended(uow, self._item):
                raise
        return True

    async def _completed(self, uow: UnitOfWork) -> bool | None:
        """Tell whether a COMMIT has completed the run whose answer was lost."""
        return await is_ended(uow, self._item) or None

    async def _failed(self, uow: UnitOfWork) -> bool | None:
        """Tell whether one has given it up."""
        return await is_over(uow, self._item) or None

    async def _fail(self, uow: UnitOfWork, error: BaseException) -> bool:
        await uow.conversation_run_queue_items.fail(
            self._item.id,
            self._item.attempt,
            described(error),
            max_attempts=self._terms.max_attempts,
        )
        return True


class RunClaim:
    """The block of `Database.claim_run`: enters with a run, or with None when the time is over."""

    def __init__(self, source: Source, terms: Terms, timeout: float | None) -> None:
        """Take note; nothing is claimed before the block is entered."""
        self._source = source
        self._terms = terms
        self._timeout = timeout
        self._held: Held | None = None

    async def __aenter__(self) -> QueueItem | None:
        if self._held is not None:
            raise ConfigurationError("a claim is entered once")
        items = await Taker(self._source, self._terms).take(1, self._timeout)
        if not items:
            return None
        self._held = Held(self._source, self._terms, items[0])
        return await self._held.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the run as `Held` does."""
        if self._held is not None:
            await self._held.__aexit__(kind, error, traceback)


def described(error: BaseException) -> JsonObject:
    """Return what a run keeps of the exception that ended its attempt.

    NUL and lone surrogates, which no database keeps, are replaced.
    """
    text = str(error).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    code = "cancelled" if isinstance(error, asyncio.CancelledError) else "error"
    return {"code": code, "type": type(error).__qualname__, "message": text[:MAX_MESSAGE]}
