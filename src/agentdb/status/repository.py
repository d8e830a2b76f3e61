"""Subscriptions to the status page."""

from __future__ import annotations

from uuid import UUID

from agentdb.repository import Repository
from agentdb.status.models import StatusSubscription


class StatusSubscriptionRepository(Repository[StatusSubscription, UUID]):
    """Subscriptions to notices of the status page."""

    model = StatusSubscription

    async def by_verification_token_hash(
        self, verification_token_hash: str
    ) -> StatusSubscription | None:
        """Return the subscription whose verification token has this digest, if any."""
        return await self._by(StatusSubscription.verification_token_hash, verification_token_hash)

    async def by_challenge_token_hash(self, challenge_token_hash: str) -> StatusSubscription | None:
        """Return the subscription whose challenge token has this digest, if any."""
        return await self._by(StatusSubscription.challenge_token_hash, challenge_token_hash)

    async def by_unsubscribe_token_hash(
        self, unsubscribe_token_hash: str
    ) -> StatusSubscription | None:
        """Return the subscription whose unsubscribe token has this digest, if any."""
        return await self._by(StatusSubscription.unsubscribe_token_hash, unsubscribe_token_hash)
