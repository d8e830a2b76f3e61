"""Changes of who a user is, or whether there still is access; both end what was open before."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.events import SecurityEventFields
from agentdb.auth.models import User
from agentdb.auth.owners import lock_with_tenants
from agentdb.auth.revocations import revoke_access
from agentdb.auth.values import RevokedReason, SecurityEventType, UserStatus
from agentdb.canonical import canonical_email
from agentdb.checks import check_fields
from agentdb.errors import LastOwnerError
from agentdb.unit_of_work import UnitOfWork


async def change_email(
    uow: UnitOfWork,
    user_id: UUID,
    email: str,
    *,
    now: datetime | None = None,
    **event: Unpack[SecurityEventFields],
) -> User:
    """Give a user another address, which is not verified, and revoke sessions and tokens.

    In a system unit, as sessions of all tenants end. All or nothing. The address that the user
    has already, in whatever case, changes nothing.

    Args:
        uow: A system unit of work.
        user_id: The user.
        email: The new address.
        now: The clock of the change.
        event: Further columns of the security event.

    Raises:
        DuplicateError: Another user has the address.
        NotFoundError: There is no such user.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    check_fields(event, SecurityEventFields)
    uow.scope.require_system("a change of an address")
    address = canonical_email(email)
    async with uow.savepoint():
        user = await uow.users.require(user_id, lock=True)
        if user.email == address:
            return user
        at = await uow.read_clock(now)
        await uow.security_events.record(
            SecurityEventType.EMAIL_CHANGE, user_id=user_id, now=at, **event
        )
        changed = await uow.users.update(user_id, email=address, email_verified_at=None)
        await revoke_access(uow, user_id, RevokedReason.EMAIL_CHANGE, at)
    return changed


async def disable_user(
    uow: UnitOfWork,
    user_id: UUID,
    reason: str,
    *,
    now: datetime | None = None,
    **event: Unpack[SecurityEventFields],
) -> User:
    """Close the account of a user, and revoke sessions and tokens.

    In a system unit, under the locks of the tenants that the user owns: of all their owners who are
    disabled, deleted, removed or demoted at once, one stays. All or nothing. One who is disabled
    already keeps the first event; sessions that were opened since are revoked.

    Args:
        uow: A system unit of work.
        user_id: The user.
        reason: Why, kept in the metadata of the security event.
        now: The clock of the change.
        event: Further columns of the security event.

    Raises:
        LastOwnerError: A tenant would be left without an owner who is not disabled.
        NotFoundError: There is no such user.
        InvalidValueError: A value is refused.
        TransientError: The user became an owner of one more tenant meanwhile.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    check_fields(event, SecurityEventFields)
    uow.scope.require_system("disabling a user")
    event["metadata_json"] = {**(event.get("metadata_json") or {}), "reason": reason}
    async with uow.savepoint():
        alone = await lock_with_tenants(uow, user_id)
        user = await uow.users.require(user_id)
        at = await uow.read_clock(now)
        if user.status != UserStatus.DISABLED:
            if alone:
                raise LastOwnerError("a tenant would be left without an owner")
            await uow.security_events.record(
                SecurityEventType.ACCOUNT_DISABLED, user_id=user_id, now=at, **event
            )
            user = await uow.users.update(user_id, status=UserStatus.DISABLED)
        await revoke_access(uow, user_id, RevokedReason.ACCOUNT_DISABLED, at)
    return user
