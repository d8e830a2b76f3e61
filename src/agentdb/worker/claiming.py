"""The verb of a database that claims a run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, overload
from uuid import UUID

from agentdb.checks import check_seconds
from agentdb.ledger.queue.repository import LEASE, MAX_ATTEMPTS
from agentdb.ledger.queue.rows import QueueItem
from agentdb.worker.claims import RunClaim
from agentdb.worker.terms import POLL, Source, Terms


class Claiming:
    """What `Database` has of the queue of runs."""

    @overload
    def claim_run(
        self: Source,
        *,
        timeout: None = None,
        lease: timedelta = LEASE,
        heartbeat: bool = True,
        max_attempts: int = MAX_ATTEMPTS,
        poll: float = POLL,
        tenant: UUID | None = None,
    ) -> AbstractAsyncContextManager[QueueItem]: ...
    @overload
    def claim_run(
        self: Source,
        *,
        timeout: float,
        lease: timedelta = LEASE,
        heartbeat: bool = True,
        max_attempts: int = MAX_ATTEMPTS,
        poll: float = POLL,
        tenant: UUID | None = None,
    ) -> AbstractAsyncContextManager[QueueItem | None]: ...
    def claim_run(
        self: Source,
        *,
        timeout: float | None = None,
        lease: timedelta = LEASE,
        heartbeat: bool = True,
        max_attempts: int = MAX_ATTEMPTS,
        poll: float = POLL,
        tenant: UUID | None = None,
    ) -> AbstractAsyncContextManager[Any]:
        """Claim a run, and work on it in a block: ``async with db.claim_run() as item:``.

        The run is completed when the block ends. When it raises, or is cancelled, the run is ready
        again for the next attempt, or failed after the last; the exception goes on. A block may
        also end the run itself, in the unit of its last writes, so that both commit or neither.

        The lease is renewed at every third of it while the block runs. When the claim has ended
        nevertheless (the run was cancelled, or this process stood still for longer than the lease),
        the block is cancelled and `LeaseLostError` raised. A block that keeps the event loop from
        running keeps the lease from being renewed.

        It looks at once when this process makes a run ready, when another does and
        `Settings.notify` is set in both, and at the latest after *poll* seconds, give or take a
        quarter. Between two looks it holds neither a transaction nor a connection.

        Args:
            timeout: Seconds to wait for a run, 0 for one look; the block is then entered with None.
                Without it the block is entered when there is one.
            lease: How long a worker may be silent; all workers of a queue share it.
            heartbeat: Whether to renew the lease; without, the block has to end within it.
            max_attempts: How often a run is tried.
            poll: Seconds between two looks.
            tenant: Whose runs; None for all. The item names its own, for `Database.begin`.

        Raises:
            UnavailableError: The database could not be reached for 30 seconds.
            LeaseLostError: At the end of the block: its claim had ended.
            InvalidValueError: A time or a number is none.
        """
        if timeout is not None:
            check_seconds(timeout, "a time to wait")
        terms = Terms(
            lease=lease, max_attempts=max_attempts, poll=poll, heartbeat=heartbeat, tenant=tenant
        )
        return RunClaim(self, terms, timeout)
