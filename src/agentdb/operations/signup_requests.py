"""Deciding requests for access."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from agentdb.errors import InvalidValueError
from agentdb.signup.models import TenantSignupInvite, TenantSignupRequest
from agentdb.signup.rows import NewInvite
from agentdb.signup.values import TenantSignupRequestStatus
from agentdb.unit_of_work import UnitOfWork


class ApprovedRequest(NamedTuple):
    """A request that was approved, and the invite that answers it."""

    request: TenantSignupRequest
    invite: TenantSignupInvite


async def approve_signup_request(
    uow: UnitOfWork,
    request_id: UUID,
    decided_by: UUID,
    invite: NewInvite,
    *,
    reason: str | None = None,
    now: datetime | None = None,
) -> ApprovedRequest:
    """Approve a pending request and issue the invite that answers it, in a system unit.

    All or nothing. Of N concurrent decisions one stands: there is one invite, or none. Unless the
    invite names another address, only that of the request can redeem it.

    Args:
        uow: A system unit of work.
        request_id: The request.
        decided_by: The user who approves it, and so issues the invite.
        invite: The invite, its token hashed.
        reason: Why.
        now: The clock of the decision.

    Raises:
        InvalidTransitionError: The request has been decided.
        NotFoundError: There is no such request or user.
        DuplicateError: The digest of the token is taken.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("a decision on a request")
    if not isinstance(invite, NewInvite):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects a NewInvite")
    values: dict[str, Any] = {field.name: getattr(invite, field.name) for field in fields(invite)}
    async with uow.savepoint():
        request = await uow.tenant_signup_requests.decide(
            request_id,
            TenantSignupRequestStatus.APPROVED,
            decided_by,
            reason=reason,
            invite_token_hint=invite.token_hint,
            now=now,
        )
        values["invited_email"] = invite.invited_email or request.email
        issued = await uow.tenant_signup_invites.issue(
            **values, issuer_user_id=decided_by, signup_request_id=request_id, now=now
        )
    return ApprovedRequest(request, issued)


async def reject_signup_request(
    uow: UnitOfWork,
    request_id: UUID,
    decided_by: UUID,
    *,
    reason: str | None = None,
    now: datetime | None = None,
) -> TenantSignupRequest:
    """Reject a pending request, in a system unit; of N concurrent decisions one stands.

    Args:
        uow: A system unit of work.
        request_id: The request.
        decided_by: The user who rejects it.
        reason: Why.
        now: The clock of the decision.

    Raises:
        InvalidTransitionError: The request has been decided.
        NotFoundError: There is no such request or user.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    uow.scope.require_system("a decision on a request")
    rejected = TenantSignupRequestStatus.REJECTED
    return await uow.tenant_signup_requests.decide(
        request_id, rejected, decided_by, reason=reason, now=now
    )
