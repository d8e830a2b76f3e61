"""Invites to sign up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupInvite,
)
from agentdb.signup.values import TenantSignupInviteStatus


class TenantSignupInviteRepository(Repository[TenantSignupInvite, UUID]):
    """Invites to sign up."""

    model = TenantSignupInvite

    async def redeem(self, invite: TenantSignupInvite, at: datetime) -> TenantSignupInvite:
        """Count a redemption of an invite that the unit has locked."""
        redeemed = invite.redeemed_count + 1
        full = redeemed >= invite.max_redemptions
        status = TenantSignupInviteStatus.EXHAUSTED if full else invite.status
        return await self.update(
            invite.id, redeemed_count=redeemed, last_redeemed_at=at, status=status
        )

    async def by_token_hash(self, token_hash: str) -> TenantSignupInvite | None:
        """Return the invite whose token has this digest, if any."""
        return await self._by(TenantSignupInvite.token_hash, token_hash)

    async def for_issuer_user(
        self, issuer_user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that the user issued, newest first."""
        return await self._newest(
            TenantSignupInvite.issuer_user_id == issuer_user_id, after=after, limit=limit
        )

    async def for_issuer_tenant(
        self, issuer_tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that the tenant issued, newest first."""
        return await self._newest(
            TenantSignupInvite.issuer_tenant_id == issuer_tenant_id, after=after, limit=limit
        )

    async def for_signup_request(
        self, signup_request_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that answer the request, newest first."""
        return await self._newest(
            TenantSignupInvite.signup_request_id == signup_request_id, after=after, limit=limit
        )
