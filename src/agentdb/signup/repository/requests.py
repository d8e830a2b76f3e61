"""Requests for access, and their decisions."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupRequest,
)


class TenantSignupRequestRepository(Repository[TenantSignupRequest, UUID]):
    """Requests for access, and their decisions."""

    model = TenantSignupRequest

    async def for_decided_by(
        self, decided_by: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupRequest]:
        """Return a page of the requests that the user decided, newest first."""
        return await self._newest(
            TenantSignupRequest.decided_by == decided_by, after=after, limit=limit
        )
