"""Adding people to a tenant who have not signed up themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple, get_args
from uuid import UUID

from agentdb.auth.models import User
from agentdb.auth.people import NewUser
from agentdb.auth.values import PepperVersion, TenantRole, UserStatus
from agentdb.errors import InvalidValueError
from agentdb.operations.new_users import add_or_find_user, add_user
from agentdb.unit_of_work import UnitOfWork

IfExists = Literal["error", "attach"]
"""What becomes of an address that a user has: refuse it, or make that user a member."""


class Provisioned(NamedTuple):
    """Who was provisioned.

    Attributes:
        user: The user.
        created: Whether the user is new; else the password and the rest are as they were.
    """

    user: User
    created: bool


async def provision_user(
    uow: UnitOfWork,
    email: str,
    password_hash: str,
    *,
    role: TenantRole = TenantRole.MEMBER,
    status: UserStatus = UserStatus.PENDING,
    if_exists: IfExists = "error",
    display_name: str | None = None,
    pepper_version: str = PepperVersion.V2,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Provisioned:
    """Make a user with profile and password history a member of a tenant, in a system unit.

    All or nothing. Of N concurrent calls with one address one makes the user; the others attach it,
    or raise.

    Args:
        uow: A system unit of work.
        email: Address of the user.
        password_hash: Hash of the password, never the password.
        role: As what the user belongs to the tenant.
        status: What a new user may do.
        if_exists: ``attach`` makes a user who has the address a member, and changes nothing else.
        display_name: Name of a new user.
        pepper_version: Version of the pepper in the hash.
        tenant_id: The tenant.
        now: The clock of the change.

    Raises:
        DuplicateError: The address is taken.
        ConflictError: The user is a member in another role.
        NotFoundError: There is no such tenant.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("provisioning a user")
    tenant = uow.scope.owner(tenant_id)
    if if_exists not in get_args(IfExists):
        raise InvalidValueError("a user who exists is an `error`, or to `attach`")
    new = NewUser(
        email=email,
        password_hash=password_hash,
        pepper_version=pepper_version,
        status=status,
        display_name=display_name,
    )
    async with uow.savepoint():
        if if_exists == "attach":
            user, created = await add_or_find_user(uow, new, now=now)
        else:
            user, created = await add_user(uow, new, now=now), True
        await uow.tenant_user_memberships.grant(user.id, role, tenant_id=tenant)
    return Provisioned(user, created)
