"""Deliveries of Stripe's events to handlers."""

from __future__ import annotations

from uuid import UUID

from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.stripe.models import StripeEventDispatch


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
