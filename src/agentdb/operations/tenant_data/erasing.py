"""Deleting all that a tenant has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, tuple_

from agentdb.database import Database
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.operations.tenant_data.counting import count_rows
from agentdb.operations.tenant_data.orphans import count_orphans, delete_orphans
from agentdb.operations.tenant_data.tables import ORDER, Condition, erased_rows, table_named
from agentdb.unit_of_work import UnitOfWork

BATCH = 5000
"""Rows of one unit of work."""

_MEMBERSHIPS = "tenant_user_memberships"


async def erase_tenant(
    db: Database,
    tenant_id: UUID,
    *,
    batch: int = BATCH,
    dry_run: bool = False,
    delete_orphan_users: bool = False,
) -> dict[str, int]:
    """Delete a tenant and every row that is its own, for good.

    Afterwards no key and no reference column of any table holds its id, and other tenants are as
    they were. People stay, without their membership. An invite of the tenant by which somebody came
    to another tenant stays too, without an issuer.

    It works in units of up to *batch* rows, children before parents; in the last one, which writers
    wait for, the tenant itself goes. Killed or failed, it is run again and goes on: what is erased
    is not counted a second time. Stop the tenant's traffic first: what is written meanwhile is
    erased too, as long as the writers are not faster, and once the tenant is gone, rows that refer
    to it are refused. Four tables do not refer to it (workflow runs, tokens, status subscriptions,
    Stripe events): a second call removes what came there.

    Bytes in object stores are not touched: list `storage_objects` before.

    Args:
        db: The database.
        tenant_id: The tenant.
        batch: Rows of one unit of work.
        dry_run: Only count, in SQL and in one snapshot, what would be deleted now.
        delete_orphan_users: Delete also the users who are members of this tenant alone, as
            `delete_user` does, 100 in a unit.

    Returns:
        The deleted rows by table; tables without any are left out.

    Raises:
        NotFoundError: There is no such tenant, nor anything that an earlier run has left.
        TransientError: It met writers again and again: run it again, when they have stopped.
        InvalidValueError: The batch is no number of rows.
    """
    if type(batch) is not int or batch < 1:
        raise InvalidValueError("a batch has 1 row or more")
    reason = f"erasure of tenant {tenant_id}"
    counts: Counter[str] = Counter()
    if dry_run:
        async with db.read(reason=reason) as uow:
            counts = await _count(uow, tenant_id, orphans=delete_orphan_users)
    else:
        erasure = partial(_erase_some, tenant=tenant_id, batch=batch, orphans=delete_orphan_users)
        done = False
        while not done:
            erased = await db.run(erasure, reason=reason)
            counts.update(erased.counts)
            done = erased.done
    if not counts:
        raise NotFoundError("there is no such tenant")
    return dict(counts)


@dataclass(slots=True)
class _Erased:
    """What one unit of work erased.

    Attributes:
        counts: The rows, by table.
        done: Whether nothing is left.
    """

    counts: Counter[str] = field(default_factory=Counter[str])
    done: bool = False


def _conditions(tenant: UUID) -> dict[str, Condition]:
    """Return the rows to erase of each table, children before parents."""
    found = {name: erased_rows(name, tenant) for name in reversed(ORDER)}
    return {name: where for name, where in found.items() if where is not None}


async def _count(uow: UnitOfWork, tenant: UUID, *, orphans: bool) -> Counter[str]:
    counts = await count_rows(uow, _conditions(tenant))
    return counts + await count_orphans(uow, tenant) if orphans else counts


async def _erase_some(uow: UnitOfWork, *, tenant: UUID, batch: int, orphans: bool) -> _Erased:
    conditions = _conditions(tenant)
    await _lock(uow, tenant)
    present = await count_rows(uow, conditions, batch + 1)
    if present.total() <= batch:
        await _close(uow, tenant)
        present = await count_rows(uow, conditions, batch + 1)
    erased, left = _Erased(), batch
    for name in (name for name in conditions if present[name]):
        if orphans and name == _MEMBERSHIPS:
            gone, last = await delete_orphans(uow, tenant)
            erased.counts.update(gone)
            if not last:
                return erased
        where = conditions[name]
        if present[name] > left:
            erased.counts[name] += await _delete(uow, name, first_rows(name, where, left))
            return erased
        erased.counts[name] += (found := await _delete(uow, name, where))
        left -= found
    erased.done = True
    return erased


async def _lock(uow: UnitOfWork, tenant: UUID) -> None:
    """Keep out other erasures, and verbs that need the lock; writers go on."""
    accounts = table_named("tenant_accounts")
    query = select(accounts.c.id).where(accounts.c.id == tenant)
    await uow.execute(query.with_for_update(key_share=True))


async def _close(uow: UnitOfWork, tenant: UUID) -> None:
    """Keep out all whose rows refer to the tenant; those who write are waited for.

    First the conversations: who appends holds one, and locks the tenant by a foreign key only then.
    """
    conversations = table_named("agent_conversations")
    own = select(conversations.c.id).where(conversations.c.tenant_id == tenant)
    await uow.execute(own.order_by(conversations.c.id).with_for_update())
    accounts = table_named("tenant_accounts")
    await uow.execute(select(accounts.c.id).where(accounts.c.id == tenant).with_for_update())


async def _delete(uow: UnitOfWork, name: str, where: Condition) -> int:
    found: Any = await uow.execute(delete(table_named(name)).where(where))
    return int(found.rowcount)


def first_rows(name: str, where: Condition, limit: int) -> Condition:
    """Return the condition for some of the rows that meet a condition."""
    keys = list(table_named(name).primary_key)
    found = select(*keys).where(where).limit(limit)
    return tuple_(*keys).in_(found) if len(keys) > 1 else keys[0].in_(found)
