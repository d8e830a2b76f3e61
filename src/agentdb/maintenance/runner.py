"""How every maintenance verb runs: in batches, to an end, or as a count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Generic, TypeAlias, TypedDict, TypeVar
from uuid import UUID

from sqlalchemy import URL

from agentdb.checks import check_duration
from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.unit_of_work import UnitOfWork

P = TypeVar("P")
T = TypeVar("T")

BATCH = 1000
"""Rows of one unit of work."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a maintenance verb did, or on a dry run would do.

    Attributes:
        counts: How many rows, by what became of them.
        done: False if ``max_batches`` ended it before it came to the end.
    """

    counts: Mapping[str, int]
    done: bool


@dataclass(frozen=True, slots=True)
class Batch(Generic[P]):
    """What one unit of work did.

    Attributes:
        counts: How many rows, by what became of them.
        position: Where the next batch goes on; None at the end.
        looked: How many rows it looked at, where it looks at more than it changes.
    """

    counts: Mapping[str, int]
    position: P | None
    looked: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What a dry run found.

    Attributes:
        rows: How many rows a run would walk over.
        counts: How many rows, by what would become of them.
    """

    rows: int
    counts: Mapping[str, int]


class Sweep(ABC, Generic[P]):
    """What a verb does to a table, step by step in the order of an index.

    Attributes:
        name: The verb, named as the reason of its system units.
        outcomes: What may become of a row; the keys of the report.
    """

    name: ClassVar[str]
    outcomes: ClassVar[tuple[str, ...]]

    @abstractmethod
    async def change(self, uow: UnitOfWork, after: P | None, limit: int) -> Batch[P]:
        """Change up to *limit* rows behind *after*; what others have locked is skipped.

        A batch that is not full is the last one.
        """

    @abstractmethod
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        """Count in SQL what `change` would do to the first *limit* rows, None for all."""


Progress: TypeAlias = Callable[[Mapping[str, int]], None]


class PlanOptions(TypedDict, total=False):
    """The keyword arguments that all verbs share.

    Attributes:
        tenant_id: Whose rows; None, the default, for all.
        batch: Rows of one unit of work, 1000 by default.
        max_batches: Units of work that change rows, at the most; None, the default, for no limit.
        dry_run: Only count, in SQL, what a run would change now.
        progress: Called after each unit of work with the counts so far.
    """

    tenant_id: UUID | None
    batch: int
    max_batches: int | None
    dry_run: bool
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a verb is to run: `PlanOptions` with their defaults, checked."""

    tenant_id: UUID | None = None
    batch: int = BATCH
    max_batches: int | None = None
    dry_run: bool = False
    progress: Progress | None = None

    def __post_init__(self) -> None:
        """Refuse what is no number of rows or units."""
        counts = [self.batch, *([] if self.max_batches is None else [self.max_batches])]
        if any(type(count) is not int or count < 1 for count in counts):
            raise InvalidValueError("a batch, and the number of batches, is a whole number from 1")


async def run_sweeps(db: Database | str | URL, sweeps: Sequence[Sweep[Any]], plan: Plan) -> Report:
    """Run the sweeps of a verb, one after the other, as planned.

    A batch that met a deadlock or a lost connection is run again.

    Args:
        db: The database, or its URL.
        sweeps: What to do; ``max_batches`` is the limit of all together.
        plan: How to run it.
    """
    walk = _count if plan.dry_run else _change
    counts = Counter({outcome: 0 for sweep in sweeps for outcome in sweep.outcomes})
    left, done = plan.max_batches, True
    async with opened(db) as database:
        for sweep in sweeps:
            done = left is None or left > 0
            if not done:
                break
            walked = await walk(database, sweep, _Task(plan, left, counts))
            done = walked.done
            left = None if left is None else left - walked.batches
    return Report(dict(counts), done)


async def run_aged(
    db: Database | str | URL,
    older_than: timedelta,
    options: PlanOptions,
    *kinds: Callable[[UUID | None, timedelta], Sweep[Any]],
) -> Report:
    """Run sweeps over rows of an age; else as `run_sweeps`.

    Args:
        db: The database, or its URL.
        older_than: The age.
        options: Whose rows, and in which batches.
        kinds: Make the sweeps of the tenant and the age.
    """
    plan = Plan(**options)
    return await run_sweeps(db, [kind(plan.tenant_id, older_than) for kind in kinds], plan)


@asynccontextmanager
async def opened(db: Database | str | URL) -> AsyncGenerator[Database]:
    """Yield a database; one that was given as a URL is closed at the end."""
    if isinstance(db, Database):
        yield db
        return
    async with Database(db) as database:
        yield database


@dataclass(frozen=True, slots=True)
class _Task:
    plan: Plan
    max_batches: int | None
    counts: Counter[str]

    def add(self, counts: Mapping[str, int]) -> None:
        self.counts.update(counts)
        if self.plan.progress is not None:
            self.plan.progress(dict(self.counts))


@dataclass(frozen=True, slots=True)
class _Walked:
    batches: int
    done: bool


async def _count(database: Database, sweep: Sweep[Any], task: _Task) -> _Walked:
    plan = task.plan
    limit = None if task.max_batches is None else plan.batch * task.max_batches

    # A reader: on SQLite a long count would else keep all writers waiting.
    reason = None if plan.tenant_id else sweep.name
    async with database.read(tenant=plan.tenant_id, reason=reason) as uow:
        found = await sweep.count(uow, limit)
    done = limit is None or found.rows < limit
    task.add(found.counts)
    return _Walked(-(-found.rows // plan.batch), done)


async def _change(database: Database, sweep: Sweep[Any], task: _Task) -> _Walked:
    plan = task.plan
    position: Any = None
    batches = 0
    while task.max_batches is None or batches < task.max_batches:
        batch = await _run(
            database,
            sweep.name,
            plan.tenant_id,
            partial(sweep.change, after=position, limit=plan.batch),
        )
        task.add(batch.counts)
        # One that found nothing to do takes no turn from the sweep that follows.
        batches += batch.looked > 0 or batch.position is not None or any(batch.counts.values())
        position = batch.position
        if position is None:
            return _Walked(batches, done=True)
    return _Walked(batches, done=False)


async def _run(
    database: Database,
    name: str,
    tenant: UUID | None,
    work: Callable[[UnitOfWork], Awaitable[T]],
) -> T:
    if tenant is not None:
        return await database.run(work, tenant=tenant)
    return await database.run(work, reason=name)


async def cutoff(uow: UnitOfWork, older_than: timedelta) -> datetime:
    """Return the instant before which a row is old, by the clock of the database."""
    check_duration(older_than, "an age")
    return await uow.read_clock() - older_than
