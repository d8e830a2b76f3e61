"""Events from Stripe, and their delivery to handlers."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.stripe.models import StripeEvent, StripeEventDispatch


class StripeEventRepository(Repository[StripeEvent, UUID]):
    """Events as Stripe sent them."""

    model = StripeEvent
    newest = "received_at"

    async def by_stripe_event_id(self, stripe_event_id: str) -> StripeEvent | None:
        """Return the event with Stripe's id, if any."""
        return await self._by(StripeEvent.stripe_event_id, stripe_event_id)


class StripeEventDispatchRepository(Repository[StripeEventDispatch, UUID]):
    """Deliveries of Stripe's events to handlers."""

    model = StripeEventDispatch

    async def for_stripe_event(
        self, stripe_event_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[StripeEventDispatch]:
        """Return a page of the event's deliveries, newest first."""
        return await self._newest(
            StripeEventDispatch.stripe_event_id == stripe_event_id, after=after, limit=limit
        )
