"""Requests for access, and their decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import Unpack

from agentdb.canonical import canonical_email, canonical_name, cut_user_agent
from agentdb.checks import check_fields
from agentdb.errors import InvalidTransitionError, InvalidValueError, QuotaExceededError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.names import lock_name
from agentdb.signup.models import (
    TenantSignupRequest,
)
from agentdb.signup.rows import RequestFields
from agentdb.signup.states import is_marked
from agentdb.signup.values import TenantSignupRequestStatus
from agentdb.tenancy import Write
from agentdb.types import Text

MAX_PENDING_PER_IP = 3
"""Undecided requests that one address may have."""

HONEYPOT = "honeypot"
"""Why a request was rejected that filled the field which people do not see."""

PENDING = TenantSignupRequestStatus.PENDING


class TenantSignupRequestRepository(Repository[TenantSignupRequest, UUID]):
    """Requests for access, and their decisions; in system units alone."""

    model = TenantSignupRequest

    async def submit(
        self,
        email: str,
        *,
        ip_address: str | None = None,
        max_pending_per_ip: int = MAX_PENDING_PER_IP,
        now: datetime | None = None,
        **fields: Unpack[RequestFields],
    ) -> TenantSignupRequest:
        """Store a request for access.

        Submissions from one IP address come one after the other: of N concurrent ones, as many are
        stored as the limit leaves room for. One that fills the honeypot is stored as rejected; it
        is never refused and never counted, so that a robot learns nothing.

        Args:
            email: Address of who asks, in any form.
            ip_address: Where the request comes from; without it there is no limit.
            max_pending_per_ip: Undecided requests from that address, 1 or more.
            now: The clock of the request.
            fields: What else is known of it.

        Raises:
            QuotaExceededError: The address has so many undecided requests.
            InvalidValueError: A column refuses its value.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        check_fields(fields, RequestFields)
        self.unit.check_writable(self.model)
        if type(max_pending_per_ip) is not int or max_pending_per_ip < 1:
            raise InvalidValueError("a number of requests is a whole number from 1")
        row = TenantSignupRequest(
            email=canonical_email(email), ip_address=ip_address, **_cleaned(fields)
        )
        async with self.unit.savepoint():
            if not row.honeypot_value and ip_address is not None:
                await self._make_room(Text().check(ip_address), max_pending_per_ip)
            row.created_at = row.updated_at = at = await self.unit.read_clock(now)
            if row.honeypot_value:
                row.status, row.decided_at = TenantSignupRequestStatus.REJECTED, at
                row.decision_reason = HONEYPOT
            return await self.add(row)

    async def _make_room(self, ip_address: str, limit: int) -> None:
        await lock_name(self.unit, self.model.__tablename__, ip_address)
        pending = is_marked(TenantSignupRequest.status, PENDING)
        if await self.count(TenantSignupRequest.ip_address == ip_address, pending) >= limit:
            raise QuotaExceededError("the address has as many undecided requests as it may have")

    async def decide(
        self,
        key: UUID,
        status: TenantSignupRequestStatus,
        decided_by: UUID,
        *,
        reason: str | None = None,
        invite_token_hint: str | None = None,
        now: datetime | None = None,
    ) -> TenantSignupRequest:
        """Approve or reject a pending request, in one statement: of N concurrent calls one does.

        Args:
            key: The request.
            status: ``approved`` or ``rejected``.
            decided_by: The user who decides.
            reason: Why.
            invite_token_hint: The last characters of the token that is sent.
            now: The clock of the decision.

        Raises:
            InvalidTransitionError: It has been decided.
            NotFoundError: There is no such request or user.
            InvalidValueError: It is no decision, or a column refuses its value.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self.unit.check_writable(self.model)
        if status == PENDING:
            raise InvalidValueError("a decision is `approved` or `rejected`")
        values = {
            "status": status,
            "decided_by": decided_by,
            "decided_at": self.unit.now(now),
            "decision_reason": reason,
            "invite_token_hint": invite_token_hint,
        }
        async with self.unit.savepoint():
            await self.unit.check(Write(self.model, values, frozenset(values)))
            row = await self._compare_and_set(key, TenantSignupRequest.status == PENDING, **values)
        if row is None:
            await self.require(key)
            raise InvalidTransitionError("the request has been decided")
        return row

    async def search(
        self,
        *,
        status: TenantSignupRequestStatus | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[TenantSignupRequest]:
        """Return a page of requests, newest first.

        Args:
            status: In this state; None for all.
            after: Cursor of the page before; None starts.
            limit: Requests of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit or the status is none.
        """
        where = [] if status is None else [TenantSignupRequest.status == status]
        return await self._newest(*where, after=after, limit=limit)

    async def for_decided_by(
        self, decided_by: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupRequest]:
        """Return a page of the requests that the user decided, newest first."""
        return await self._newest(
            TenantSignupRequest.decided_by == decided_by, after=after, limit=limit
        )


def _cleaned(fields: RequestFields) -> dict[str, Any]:
    agent = fields.get("user_agent")
    return {
        **fields,
        "organization": canonical_name(fields.get("organization") or "") or None,
        "full_name": canonical_name(fields.get("full_name") or "") or None,
        "user_agent": None if agent is None else cut_user_agent(agent),
    }
