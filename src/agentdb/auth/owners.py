"""A tenant keeps an owner: the locks that this takes, and who counts.

Whoever takes an owner from a tenant holds the lock of the tenant, and whoever makes one or takes
the user away holds the lock of the user; tenants are locked before users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select

from agentdb.auth.models import TenantUserMembership, User
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.errors import LastOwnerError, NotFoundError, TransientError
from agentdb.tenancy.predicates import members_of, table_of
from agentdb.tenants.models import TenantAccount
from agentdb.unit import Unit

_tenants: Any = table_of(TenantAccount)
_users: Any = table_of(User)
_memberships: Any = table_of(TenantUserMembership)


async def lock_tenant(unit: Unit, tenant: UUID) -> None:
    """Lock a tenant until the unit ends, as all do who take one of its owners away."""
    await unit.session.flush()
    query = select(_tenants.c.id).where(_tenants.c.id == tenant)
    await unit.execute(query.with_for_update(key_share=True))


async def lock_user(unit: Unit, user_id: UUID, *, to_delete: bool = False) -> None:
    """Lock a user until the unit ends; in a tenant's unit a member of the tenant.

    Args:
        unit: The unit.
        user_id: The user.
        to_delete: Keep others from referring to the user, too.

    Raises:
        NotFoundError: There is no such user.
        TenantRequiredError: The unit has no tenant.
    """
    tenant = unit.scope.filter(None)
    query = select(_users.c.id).where(_users.c.id == user_id)
    if tenant is not None:
        query = query.where(_users.c.id.in_(members_of(tenant)))
    await _find(unit, query.with_for_update(key_share=not to_delete))


async def keep_user(unit: Unit, user_id: UUID) -> None:
    """Keep a user, of any tenant or none, from being disabled or deleted until the unit ends.

    Raises:
        NotFoundError: There is no such user.
    """
    await _find(unit, select(_users.c.id).where(_users.c.id == user_id).with_for_update(read=True))


async def _find(unit: Unit, query: Select[Any]) -> None:
    if (await unit.execute(query)).first() is None:
        raise NotFoundError("no such row of users")


async def lock_with_tenants(
    unit: Unit, user_id: UUID, *, to_delete: bool = False
) -> Sequence[UUID]:
    """Lock the tenants that a user owns, and then the user, in a system unit.

    Returns:
        The tenants that nobody else owns.

    Raises:
        NotFoundError: There is no such user.
        TransientError: The user became the owner of one more tenant meanwhile: run the unit again.
    """
    await unit.session.flush()
    mine = select(_memberships.c.tenant_id).where(*_own(user_id))
    query = select(_tenants.c.id).where(_tenants.c.id.in_(mine))
    query = query.order_by(_tenants.c.id).with_for_update(key_share=True)
    locked = set((await unit.execute(query)).scalars())
    await lock_user(unit, user_id, to_delete=to_delete)
    owned = await unit.execute(
        select(_memberships.c.tenant_id, _has_other(user_id).label("shared"))
        .where(*_own(user_id))
        .order_by(_memberships.c.tenant_id)
    )
    rows = owned.all()
    if not locked.issuperset(row.tenant_id for row in rows):
        raise TransientError("the user became an owner of one more tenant: run the unit again")
    return [row.tenant_id for row in rows if not row.shared]


async def sole_owner_tenants(unit: Unit, user_id: UUID) -> list[UUID]:
    """Return the tenants that only this user owns, by id; in a tenant's unit at most that one."""
    tenant = unit.scope.filter(None)
    await unit.session.flush()
    mine = [] if tenant is None else [_memberships.c.tenant_id == tenant]
    query = select(_memberships.c.tenant_id).where(*_own(user_id), ~_has_other(user_id), *mine)
    return list((await unit.execute(query.order_by(_memberships.c.tenant_id))).scalars())


async def require_other_owner(unit: Unit, tenant: UUID, user_id: UUID) -> None:
    """Refuse to take an owner from a tenant, whose lock the unit holds, that has no other.

    Raises:
        LastOwnerError: Nobody else owns it.
    """
    query = select(_memberships.c.id).where(
        _memberships.c.tenant_id == tenant, *_own(user_id), ~_has_other(user_id)
    )
    if (await unit.execute(query)).first() is not None:
        raise LastOwnerError("the tenant would be left without an owner")


def _own(user_id: UUID) -> list[ColumnElement[bool]]:
    columns = _memberships.c
    return [columns.user_id == user_id, columns.role == TenantRole.OWNER]


def _has_other(user_id: UUID) -> ColumnElement[bool]:
    """Whether the tenant of a membership has an owner beside the user; a disabled one is none."""
    other = _memberships.alias("other")
    owner = _users.alias("owner")
    return exists(
        select(other.c.id)
        .join(owner, owner.c.id == other.c.user_id)
        .where(
            other.c.tenant_id == _memberships.c.tenant_id,
            other.c.role == TenantRole.OWNER,
            other.c.user_id != user_id,
            owner.c.status != UserStatus.DISABLED,
        )
        .correlate(_memberships)
    )
