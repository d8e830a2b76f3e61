"""Refresh tokens of service accounts and of users."""

from __future__ import annotations

from uuid import UUID

from agentdb.auth.models import (
    ServiceAccountToken,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class ServiceAccountTokenRepository(Repository[ServiceAccountToken, UUID]):
    """Refresh tokens of service accounts and of users."""

    model = ServiceAccountToken

    async def by_refresh_token_hash(self, refresh_token_hash: str) -> ServiceAccountToken | None:
        """Return the token with this digest, if any."""
        return await self._by(ServiceAccountToken.refresh_token_hash, refresh_token_hash)

    async def by_refresh_jti(self, refresh_jti: str) -> ServiceAccountToken | None:
        """Return the token with this id, if any."""
        return await self._by(ServiceAccountToken.refresh_jti, refresh_jti)

    async def for_session(
        self, session_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ServiceAccountToken]:
        """Return a page of the session's tokens, newest first."""
        return await self._newest(
            ServiceAccountToken.session_id == session_id, after=after, limit=limit
        )
