"""The log of attempts to log in."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.lockouts import count_failures
from agentdb.auth.models import (
    UserLoginEvent,
)
from agentdb.auth.people import AttemptFields
from agentdb.auth.values import LoginResult
from agentdb.canonical import cut_user_agent
from agentdb.checks import check_duration, check_fields
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository

UNKNOWN_ADDRESS = "unknown"


class UserLoginEventRepository(AppendOnlyRepository[UserLoginEvent, UUID]):
    """The log of attempts to log in."""

    model = UserLoginEvent

    async def record(
        self,
        user_id: UUID,
        result: LoginResult,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[AttemptFields],
    ) -> UserLoginEvent:
        """Record an attempt to log in, and nothing else; `operations.record_login` also locks out.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            result: How it ended.
            tenant_id: The tenant it was for, in a system unit; None for none in particular.
            now: The clock of the attempt.
            fields: Further columns of the row; a user agent that is too long is cut.

        Raises:
            NotFoundError: There is no such user or tenant.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, AttemptFields)
        tenant = self.unit.scope.filter(tenant_id)
        at = await self.unit.read_clock(now)
        return await self.add(login_event(user_id, result, tenant, at, fields))

    async def failures_since_success(
        self, user_id: UUID, window: timedelta, *, now: datetime | None = None
    ) -> int:
        """Return how many of the user's attempts failed since the last success.

        Args:
            user_id: The user.
            window: How far back failures count.
            now: The clock of the count.

        Raises:
            InvalidValueError: The window is no length of time from 0.
        """
        self.unit.scope.filter(None)
        check_duration(window, "a window")
        return await count_failures(self.unit, user_id, await self.unit.read_clock(now) - window)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the user's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the tenant's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.tenant_id == tenant_id, after=after, limit=limit)


def login_event(
    user_id: UUID,
    result: LoginResult,
    tenant_id: UUID | None,
    at: datetime,
    fields: AttemptFields,
) -> UserLoginEvent:
    """Return the row of an attempt, not stored."""
    agent = fields.get("user_agent")
    return UserLoginEvent(
        user_id=user_id,
        tenant_id=tenant_id,
        created_at=at,
        result=result,
        ip_hash=fields.get("ip_hash", UNKNOWN_ADDRESS),
        user_agent=None if agent is None else cut_user_agent(agent),
        reason=fields.get("reason"),
    )
