"""Events as Stripe sent them."""

from __future__ import annotations

from uuid import UUID

from agentdb.repository import Repository
from agentdb.stripe.models import StripeEvent


class StripeEventRepository(Repository[StripeEvent, UUID]):
    """Events as Stripe sent them."""

    model = StripeEvent
    newest = "received_at"

    async def by_stripe_event_id(self, stripe_event_id: str) -> StripeEvent | None:
        """Return the event with Stripe's id, if any."""
        return await self._by(StripeEvent.stripe_event_id, stripe_event_id)
