"""Deleting a user, and every reference to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, delete, func, select, update

from agentdb.activity.models import ActivityEvent
from agentdb.auth.accounts import account_of
from agentdb.auth.models import ServiceAccountToken, User, UserSession
from agentdb.auth.owners import lock_with_tenants
from agentdb.checks import check_switch
from agentdb.errors import LastOwnerError
from agentdb.orm import Base
from agentdb.status.models import StatusSubscription
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep

DELETED_USER = "deleted-user"
"""What text columns say in place of the id of a user who is gone."""

_TEXTS: tuple[tuple[type[Base], str], ...] = (
    (WorkflowRun, "user_id"),
    (WorkflowRun, "deleted_by"),
    (WorkflowRunStep, "deleted_by"),
    (StatusSubscription, "created_by"),
)
"""Columns that hold the id of a user as text, without a foreign key."""


@dataclass(frozen=True, slots=True)
class DeletedUser:
    """What went with a user.

    Attributes:
        counts: Rows by table, that of the user included; tables without any are left out.
    """

    counts: dict[str, int]


async def delete_user(uow: UnitOfWork, user_id: UUID, *, force: bool = False) -> DeletedUser:
    """Delete a user with profile, memberships, credentials, sessions and log-ins; for good.

    In a system unit, under the locks of the tenants that the user owns: of all their owners who are
    disabled, deleted, removed or demoted at once, one stays. All or nothing.

    No key or reference holds the id afterwards. What the user made stays: conversations, objects
    and requests without an owner, security and activity events without the person, workflow runs of
    ``deleted-user``. Counters go to those of nobody in particular, so that no total changes.

    Args:
        uow: A system unit of work.
        user_id: The user.
        force: Delete the only owner of a tenant, too; the tenant stays, without one.

    Raises:
        LastOwnerError: A tenant would be left without an owner.
        NotFoundError: There is no such user.
        InvalidValueError: *force* is neither True nor False.
        TransientError: The user became an owner of one more tenant meanwhile, or what others write
            for the user met the deletion: run the unit again.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("the deletion of a user")
    check_switch(force, "force")
    async with uow.savepoint():
        alone = await lock_with_tenants(uow, user_id, to_delete=True)
        if alone and not force:
            raise LastOwnerError("a tenant would be left without an owner")
        await uow.session.flush()
        counts = await _count(uow, user_id)
        await _delete_access(uow, user_id)
        await _clear_references(uow, user_id)
        await uow.usage_counters.fold_user(user_id)
        await uow.execute(delete(table_of(User)).where(table_of(User).c.id == user_id))
    uow.forget(User, (user_id,))
    return DeletedUser({name: count for name, count in counts.items() if count})


async def _count(uow: UnitOfWork, user_id: UUID) -> dict[str, int]:
    """Count what goes with the user, in one statement."""
    owning = {column.table.name: column == user_id for column in cascading()}
    tokens: Any = table_of(ServiceAccountToken)
    owning[tokens.name] = tokens.c.account == account_of(user_id)
    counts = [
        select(func.count()).select_from(Base.metadata.tables[name]).where(mine).scalar_subquery()
        for name, mine in owning.items()
    ]
    row = (await uow.execute(select(*counts))).one()
    return {**dict(zip(owning, row, strict=True)), User.__tablename__: 1}


def cascading() -> list[Column[Any]]:
    """Return the foreign keys by which rows go with their user."""
    return [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name == User.__tablename__ and key.ondelete == "CASCADE"
    ]


async def _delete_access(uow: UnitOfWork, user_id: UUID) -> None:
    """Delete sessions and tokens, locked in the order in which a rotation locks them."""
    sessions: Any = table_of(UserSession)
    tokens: Any = table_of(ServiceAccountToken)
    for table, mine in (
        (sessions, sessions.c.user_id == user_id),
        (tokens, tokens.c.account == account_of(user_id)),
    ):
        query = select(table.c.id).where(mine).order_by(table.c.id)
        await uow.execute(query.with_for_update(key_share=True))
    await uow.execute(delete(tokens).where(tokens.c.account == account_of(user_id)))


async def _clear_references(uow: UnitOfWork, user_id: UUID) -> None:
    """Clear what refers to the user without a foreign key."""
    for model, name in _TEXTS:
        column = table_of(model).c[name]
        change = update(table_of(model)).where(column == str(user_id))
        await uow.execute(change.values({name: DELETED_USER}))
    events: Any = table_of(ActivityEvent)
    await uow.execute(update(events).where(events.c.actor_id == user_id).values(actor_id=None))
