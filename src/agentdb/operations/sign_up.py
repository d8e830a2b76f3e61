"""Signing up: a tenant, its first user, and all that both begin with."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from agentdb.auth.models import TenantUserMembership, User
from agentdb.auth.people import NewUser
from agentdb.auth.values import PepperVersion, TenantRole, UserStatus
from agentdb.checks import check_switch
from agentdb.operations.new_users import add_user
from agentdb.tenants.models import TenantAccount
from agentdb.unit_of_work import UnitOfWork


class SignedUp(NamedTuple):
    """What a sign-up made."""

    tenant: TenantAccount
    user: User
    membership: TenantUserMembership


async def sign_up(
    uow: UnitOfWork,
    *,
    email: str,
    password_hash: str,
    tenant_name: str,
    slug_hint: str | None = None,
    display_name: str | None = None,
    reservation_id: UUID | None = None,
    activate: bool = False,
    pepper_version: str = PepperVersion.V2,
    now: datetime | None = None,
) -> SignedUp:
    """Make a tenant and its owner, in a system unit; all or nothing.

    N concurrent sign-ups with one e-mail address make one tenant: the others raise before they have
    stored anything. A call to a remote service belongs between reserving the invite, in a unit of
    its own, and this.

    Args:
        uow: A system unit of work.
        email: Address of the owner.
        password_hash: Hash of the password, never the password.
        tenant_name: Name of the tenant, 2 to 128 characters.
        slug_hint: Wanted slug; a free one is derived from it, or from the name.
        display_name: Name of the owner.
        reservation_id: Reservation of an invite, finalised for the new tenant and user.
        activate: Make the user active at once; else pending until the address is verified.
        pepper_version: Version of the pepper in the hash.
        now: The clock of the sign-up.

    Raises:
        DuplicateError: The address is taken.
        ReservationExpiredError: The reservation ran out or was released; nothing is stored.
        NotFoundError: There is no such reservation.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("a sign-up")
    check_switch(activate, "activate")
    new = NewUser(
        email=email,
        password_hash=password_hash,
        pepper_version=pepper_version,
        status=UserStatus.ACTIVE if activate else UserStatus.PENDING,
        display_name=display_name,
    )
    async with uow.savepoint():
        tenant = await uow.tenant_accounts.create_with_free_slug(tenant_name, slug_hint=slug_hint)
        user = await add_user(uow, new, now=now)
        membership, _ = await uow.tenant_user_memberships.grant(
            user.id, TenantRole.OWNER, tenant_id=tenant.id
        )
        if reservation_id is not None:
            await uow.tenant_signup_invite_reservations.finalize(
                reservation_id, tenant_id=tenant.id, user_id=user.id, now=now
            )
    return SignedUp(tenant, user, membership)
