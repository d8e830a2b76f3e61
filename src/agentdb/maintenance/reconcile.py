"""What contradicts itself in a database, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, ColumnElement, and_, select, tuple_, update
from typing_extensions import Unpack, override

from agentdb.conversations.models import AgentConversation
from agentdb.conversations.statements import conversations, messages
from agentdb.database import Database
from agentdb.maintenance.runner import Plan, PlanOptions, Report, Sweep, run_sweeps
from agentdb.maintenance.vanished import VANISHED
from agentdb.maintenance.walked import Walked, lock_free
from agentdb.orm import Base
from agentdb.storage.models import StorageBucket
from agentdb.storage.statements import buckets
from agentdb.tenancy.predicates import table_of
from agentdb.tenants.models import TenantAccount
from agentdb.unit_of_work import UnitOfWork
from agentdb.vector_stores.models import VectorStore
from agentdb.vector_stores.statements import stores, usage_of_files

_TENANTS: Any = table_of(TenantAccount)


async def reconcile(
    db: Database | str | URL,
    *,
    repair: bool = False,
    **options: Unpack[PlanOptions],
) -> Report:
    """Report what contradicts itself, and repair it on request.

    The verbs never leave it so; imports, plain inserts and restored rows may.

    * ``message_count``: conversations whose count is not above the highest position of their
      messages, so that the next append would fail. It is set above it.
    * ``store_usage``: live vector stores whose usage is not the sum of their files, each counted as
      its ``usage_bytes``, or as its ``size_bytes`` while that is 0. It becomes the sum, which may
      replace a figure that the provider told.
    * ``default_buckets``: live default buckets beside a newer one of their tenant. They stop being
      the default.
    * Rows of tenants that are gone, by table, where no foreign key took them along: tokens, status
      subscriptions, summaries, usage, workflow runs and steps, steps without a run too. They are
      deleted, as erasing the tenant would have done. Tenants of runs that are no UUID are the
      host's own, and left alone.

    Args:
        db: The database, or its URL.
        repair: Put it right, under the locks that the verbs take; what is locked stays for the next
            time.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        Counts by what is wrong.
    """
    plan = Plan(**options)
    if not repair:
        plan = replace(plan, dry_run=True)
    return await run_sweeps(db, [sweep(plan.tenant_id) for sweep in SWEEPS], plan)


def _next_position() -> ColumnElement[Any]:
    mine = messages.c.conversation_id == conversations.c.id
    last = select(messages.c.position).where(mine).order_by(messages.c.position.desc()).limit(1)
    found: ColumnElement[Any] = last.correlate(conversations).scalar_subquery() + 1
    return found


_TOO_LOW: ColumnElement[bool] = conversations.c.message_count < _next_position()


class MessageCounts(Walked):
    """Conversations, in the order of their ids."""

    name = "reconcile"
    outcomes: ClassVar[tuple[str, ...]] = ("message_count",)
    model: ClassVar[type[Base]] = AgentConversation

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return _TOO_LOW

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        # A statement of its own locks them: what is written then is read after.
        free = await lock_free(uow, conversations, conversations.c.id.in_(keys))
        right = update(conversations).where(conversations.c.id.in_(free), _TOO_LOW)
        right = right.values(message_count=_next_position()).returning(conversations.c.id)
        return len((await uow.execute(right)).all())


def _superseded() -> ColumnElement[bool]:
    """Return the condition that a bucket is the default beside a newer one."""
    newer = buckets.alias("newer")
    others = (newer.c.tenant_id == buckets.c.tenant_id, newer.c.is_default)
    age = [tuple_(table.c.created_at, table.c.id) for table in (newer, buckets)]
    found = select(newer.c.id).where(*others, newer.c.deleted_at.is_(None), age[0] > age[1])
    both: ColumnElement[bool] = buckets.c.is_default & buckets.c.deleted_at.is_(None)
    return both & found.correlate(buckets).exists()


class DefaultBuckets(Walked):
    """Buckets, in the order of their ids."""

    name = "reconcile"
    outcomes: ClassVar[tuple[str, ...]] = ("default_buckets",)
    model: ClassVar[type[Base]] = StorageBucket

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return _superseded()

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        wrong = buckets.c.id.in_(keys)
        owners = select(buckets.c.tenant_id).where(wrong)
        tenants = await lock_free(uow, _TENANTS, _TENANTS.c.id.in_(owners))
        right = update(buckets).where(wrong, buckets.c.tenant_id.in_(tenants), _superseded())
        right = right.values(is_default=False).returning(buckets.c.id)
        return len((await uow.execute(right)).all())


class StoreUsage(Walked):
    """Live vector stores, in the order of their ids."""

    name = "reconcile"
    outcomes: ClassVar[tuple[str, ...]] = ("store_usage",)
    model: ClassVar[type[Base]] = VectorStore

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return and_(stores.c.deleted_at.is_(None), stores.c.usage_bytes != usage_of_files())

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        # A statement of its own locks them: files that are attached then are counted after.
        free = await lock_free(uow, stores, stores.c.id.in_(keys))
        right = update(stores).where(stores.c.id.in_(free), await self._wrong(uow))
        right = right.values(usage_bytes=usage_of_files()).returning(stores.c.id)
        return len((await uow.execute(right)).all())


SWEEPS: tuple[Callable[[UUID | None], Sweep[Any]], ...] = (
    MessageCounts,
    DefaultBuckets,
    StoreUsage,
    *VANISHED,
)
"""One for each thing that may be wrong, made with the tenant."""
