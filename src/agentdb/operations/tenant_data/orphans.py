"""The people who are members of one tenant alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, exists, or_, select

from agentdb.auth.accounts import account_of
from agentdb.operations.tenant_data.counting import count_rows
from agentdb.operations.tenant_data.tables import Condition, erased_rows, table_named
from agentdb.operations.user_deletion import cascading, delete_user
from agentdb.tenancy.predicates import members_of
from agentdb.unit_of_work import UnitOfWork

AT_ONCE = 100
"""Users of one unit of work: the deletion of one takes a dozen statements."""


async def delete_orphans(uow: UnitOfWork, tenant: UUID) -> tuple[Counter[str], bool]:
    """Delete some users who are members of *tenant* alone, with all that goes with a user.

    Returns:
        The rows that went, by table, and whether no such user is left.
    """
    users = table_named("users")
    query = _orphans(tenant).limit(AT_ONCE).with_for_update()
    locked = list((await uow.execute(query)).scalars())
    # Read again: one may have become a member elsewhere before the lock was had.
    still = await uow.execute(_orphans(tenant).where(users.c.id.in_(locked)))
    counts: Counter[str] = Counter()
    for user in still.scalars().all():
        counts.update((await delete_user(uow, user, force=True)).counts)
    return counts, len(locked) < AT_ONCE


async def count_orphans(uow: UnitOfWork, tenant: UUID) -> Counter[str]:
    """Count what `delete_orphans` takes beside the rows of the tenant itself."""
    counts: Counter[str] = Counter()
    users = list((await uow.execute(_orphans(tenant))).scalars())
    for start in range(0, len(users), AT_ONCE):
        some = users[start : start + AT_ONCE]
        counts.update(await count_rows(uow, _rows_beside(some, tenant)))
    return counts


def _orphans(tenant: UUID) -> Select[tuple[UUID]]:
    users = table_named("users")
    memberships = table_named("tenant_user_memberships")
    elsewhere = and_(memberships.c.user_id == users.c.id, memberships.c.tenant_id != tenant)
    query: Select[Any] = select(users.c.id).where(
        users.c.id.in_(members_of(tenant)), ~exists().where(elsewhere)
    )
    return query.order_by(users.c.id)


def _rows_beside(users: Collection[UUID], tenant: UUID) -> dict[str, Condition]:
    """Return the conditions for what goes with *users* and not with *tenant*."""
    accounts = [account_of(user) for user in users]
    tokens = table_named("service_account_tokens")
    going = {column.table.name: column.in_(users) for column in cascading()}
    going |= {tokens.name: tokens.c.account.in_(accounts)}
    beside = {name: and_(gone, _not_of(name, tenant)) for name, gone in going.items()}
    return {**beside, "users": table_named("users").c.id.in_(users)}


def _not_of(name: str, tenant: UUID) -> Condition:
    """Return the condition for the rows of a table that do not go with *tenant*."""
    column = table_named(name).c.get("tenant_id")
    if erased_rows(name, tenant) is None or column is None:
        return table_named(name).c.id.is_not(None)
    return or_(column.is_(None), column != tenant)
