"""Signing up: a tenant, its first user, and all that both begin with."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from agentdb.auth.models import PasswordHistory, TenantUserMembership, User, UserProfile
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.canonical import canonical_email
from agentdb.tenants.models import TenantAccount
from agentdb.unit_of_work import UnitOfWork

PEPPER_VERSION = "v2"
"""The version that new password hashes are made with, unless the host says otherwise."""


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
    pepper_version: str = PEPPER_VERSION,
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

    Raises:
        DuplicateError: The address is taken.
        ReservationExpiredError: The reservation ran out or was released; nothing is stored.
        NotFoundError: There is no such reservation.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("a sign-up")
    async with uow.savepoint():
        tenant = await uow.tenant_accounts.create_with_free_slug(tenant_name, slug_hint=slug_hint)
        user = await uow.users.add(
            User(
                email=canonical_email(email),
                password_hash=password_hash,
                password_pepper_version=pepper_version,
                status=UserStatus.ACTIVE if activate else UserStatus.PENDING,
            )
        )
        membership = TenantUserMembership(
            user_id=user.id, tenant_id=tenant.id, role=TenantRole.OWNER
        )
        await uow.tenant_user_memberships.add(membership)
        await _add_profile(uow, user, display_name)
        if reservation_id is not None:
            await uow.tenant_signup_invite_reservations.finalize(
                reservation_id, tenant_id=tenant.id, user_id=user.id
            )
    return SignedUp(tenant, user, membership)


async def _add_profile(uow: UnitOfWork, user: User, display_name: str | None) -> None:
    await uow.user_profiles.add(UserProfile(user_id=user.id, display_name=display_name))
    await uow.password_history.add(
        PasswordHistory(
            user_id=user.id,
            password_hash=user.password_hash,
            password_pepper_version=user.password_pepper_version,
        )
    )
