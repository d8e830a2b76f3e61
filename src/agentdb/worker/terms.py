"""What a worker agrees to, and what it needs of a database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from agentdb.checks import check_count, check_duration, check_seconds
from agentdb.ledger.queue.repository import LEASE, MAX_ATTEMPTS
from agentdb.unit_of_work import UnitOfWork

T = TypeVar("T")

POLL = 1.0
"""Seconds between two looks for a run, give or take a quarter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all workers of a queue agree on, and how this one looks for work.

    Attributes:
        lease: How long a worker may be silent before its run is taken over.
        max_attempts: How often a run is tried.
        poll: Seconds between two looks, give or take a quarter, so that workers which started
            together do not look together.
        heartbeat: Whether the lease is renewed while the run is being worked on. Without it a run
            has to end within the lease.
        tenant: Whose runs; None for all.
    """

    lease: timedelta = LEASE
    max_attempts: int = MAX_ATTEMPTS
    poll: float = POLL
    heartbeat: bool = True
    tenant: UUID | None = None

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        check_duration(self.lease, "a lease", positive=True)
        check_count(self.max_attempts, "a number of attempts")
        check_seconds(self.poll, "the time between two looks", positive=True)


class Source(Protocol):
    """What a worker needs of a `Database`."""

    @property
    def engine(self) -> AsyncEngine:
        """Its engine; hints go by it."""
        ...

    async def run(
        self,
        work: Callable[[UnitOfWork], Awaitable[T]],
        *,
        tenant: UUID | None = None,
        reason: str | None = None,
        settle: Callable[[UnitOfWork], Awaitable[T | None]] | None = None,
        single: bool = False,
    ) -> T:
        """Run a unit of work."""
        ...
