"""Sessions of users: logging in, and logging out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from typing_extensions import Unpack

from agentdb.auth.accounts import account_of, canonical_scopes
from agentdb.auth.credentials import DeviceFields, IssuedSession, NewToken, check_token
from agentdb.auth.models import TenantUserMembership, User
from agentdb.auth.revocations import (
    Revoked,
    revoke_access,
    revoke_sessions,
    revoke_tokens,
    sessions,
    tokens,
)
from agentdb.auth.values import LoginReason, LoginResult, RevokedReason, UserStatus
from agentdb.checks import check_fields
from agentdb.errors import PermissionDeniedError
from agentdb.operations.undoing import undo_with
from agentdb.tenancy.predicates import table_of
from agentdb.unit_of_work import UnitOfWork

_users: Any = table_of(User)
_memberships: Any = table_of(TenantUserMembership)


async def issue_session(
    uow: UnitOfWork,
    user_id: UUID,
    scopes: Iterable[str],
    token: NewToken,
    *,
    session_id: UUID | None = None,
    reason: str = LoginReason.LOGIN,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
    **device: Unpack[DeviceFields],
) -> IssuedSession:
    """Log a user in: a session, its first refresh token and an event, all or nothing.

    Under the lock of the user, as what revokes all of a user's sessions: none is left out.

    Args:
        uow: A unit of work.
        user_id: The user, whose password or other proof the host has checked.
        scopes: What the token is for.
        token: The refresh token; its fingerprint becomes that of the session.
        session_id: A live session of the user to go on with, whose other tokens are revoked as
            ``replaced``; a new one unless given.
        reason: How the user logged in, see `LoginReason`.
        tenant_id: The tenant, in a system unit.
        now: The clock of the log-in.
        device: Where the session is.

    Raises:
        PermissionDeniedError: The user is unknown, not active or no member of the tenant.
        NotFoundError: The session is another user's.
        InvalidTransitionError: The session was revoked.
        DuplicateError: The id of the token is taken.
        InvalidValueError: A value is refused.
    """
    check_fields(device, DeviceFields)
    tenant, wanted = uow.scope.owner(tenant_id), canonical_scopes(scopes)
    check_token(token)
    async with undo_with(uow, uow.user_sessions) as touched:
        await _admit(uow, user_id, tenant)
        session = await uow.user_sessions.open(
            user_id,
            token.refresh_jti,
            id=session_id,
            fingerprint=token.fingerprint,
            tenant_id=tenant,
            now=now,
            **device,
        )
        touched(session.id)
        issued = await uow.service_account_tokens.issue(
            account_of(user_id), wanted, token, session_id=session.id, tenant_id=tenant, now=now
        )
        await uow.user_login_events.record(
            user_id,
            LoginResult.SUCCESS,
            reason=reason,
            ip_hash=device.get("ip_hash") or "unknown",
            user_agent=device.get("user_agent"),
            tenant_id=tenant,
            now=issued.issued_at,
        )
        if session_id is not None:
            others = [tokens.c.session_id == session_id, tokens.c.id != issued.id]
            await revoke_tokens(uow, others, RevokedReason.REPLACED, uow.now(now))
    return IssuedSession(session, issued)


async def _admit(uow: UnitOfWork, user_id: UUID, tenant: UUID) -> None:
    """Lock the user, and refuse who may not log in to the tenant."""
    await uow.session.flush()
    query = select(_users.c.status).where(_users.c.id == user_id)
    found = await uow.execute(query.with_for_update(key_share=True))
    status: UserStatus | None = found.scalar_one_or_none()
    place = select(_memberships.c.id).where(
        _memberships.c.user_id == user_id, _memberships.c.tenant_id == tenant
    )
    member = await uow.execute(place.with_for_update(read=True, key_share=True))
    if member.first() is None or status is not UserStatus.ACTIVE:
        raise PermissionDeniedError("the user may not log in to the tenant")


async def revoke_session(
    uow: UnitOfWork,
    session_id: UUID,
    user_id: UUID,
    reason: str = RevokedReason.USER_LOGOUT,
    *,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Revoked:
    """Log a session of a user out: it is revoked, and its tokens with it.

    A concurrent rotation is wholly before or wholly after: its successor is revoked too.

    Args:
        uow: A unit of work.
        session_id: The session.
        user_id: Whose it is.
        reason: Why; see `RevokedReason`.
        tenant_id: The tenant, in a system unit; None for any.
        now: The clock of the revocation.

    Returns:
        How many sessions and tokens were revoked: none where the session was revoked before, is
        another user's or does not exist, which cannot be told apart.

    Raises:
        InvalidValueError: The reason is refused.
    """
    at = uow.now(now)
    mine = [sessions.c.id == session_id, sessions.c.user_id == user_id]
    async with uow.savepoint():
        ended = await revoke_sessions(uow, mine, reason, at, tenant_id=tenant_id)
        if not ended:
            return Revoked(0, 0)
        of_session = [tokens.c.session_id == session_id]
        gone = await revoke_tokens(uow, of_session, reason, at, tenant_id=tenant_id)
    return Revoked(len(ended), len(gone))


async def revoke_sessions_all(
    uow: UnitOfWork,
    user_id: UUID,
    reason: str = RevokedReason.USER_LOGOUT_ALL,
    *,
    except_session_id: UUID | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Revoked:
    """Log a user out everywhere, under the lock of the user; with all tokens of the user.

    Args:
        uow: A unit of work; a tenant's one logs out of the tenant.
        user_id: The user.
        reason: Why; see `RevokedReason`.
        except_session_id: A session that stays, with its tokens.
        tenant_id: In a system unit, the tenant to log out of; None for all.
        now: The clock of the revocation.

    Returns:
        How many sessions and tokens were revoked; none of a user who does not exist.

    Raises:
        InvalidValueError: The reason is refused.
    """
    uow.scope.filter(tenant_id)
    async with uow.savepoint():
        if await uow.users.get(user_id, lock=True) is None:
            return Revoked(0, 0)
        return await revoke_access(
            uow,
            user_id,
            reason,
            uow.now(now),
            keep_session_id=except_session_id,
            tenant_id=tenant_id,
        )
