"""Invoices, as the payment processor reports them."""

from __future__ import annotations

from uuid import UUID

from agentdb.billing.models import (
    SubscriptionInvoice,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class SubscriptionInvoiceRepository(Repository[SubscriptionInvoice, UUID]):
    """Invoices, as the payment processor reports them."""

    model = SubscriptionInvoice
    newest = "period_start"

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionInvoice]:
        """Return a page of the subscription's invoices, newest period first."""
        return await self._newest(
            SubscriptionInvoice.subscription_id == subscription_id, after=after, limit=limit
        )
