"""Invoices, as the payment processor reports them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, null, select
from typing_extensions import Unpack

from agentdb.billing.checks import check_columns, check_currency, check_period
from agentdb.billing.models import SubscriptionInvoice, TenantSubscription
from agentdb.billing.repository.subscriptions import TenantSubscriptionRepository
from agentdb.billing.rows import InvoiceFields
from agentdb.billing.values import SETTLED_INVOICE_STATUSES, UNSETTLED_INVOICE_STATUSES
from agentdb.checks import check_fields
from agentdb.paging import Page
from agentdb.repository import Repository


class SubscriptionInvoiceRepository(Repository[SubscriptionInvoice, UUID]):
    """Invoices, as the payment processor reports them."""

    model = SubscriptionInvoice
    newest = "period_start"

    async def put(
        self,
        subscription_id: UUID,
        period_start: datetime,
        period_end: datetime,
        amount_cents: int,
        *,
        external_invoice_id: str | None = None,
        **fields: Unpack[InvoiceFields],
    ) -> tuple[SubscriptionInvoice, bool]:
        """Store an invoice, or what is new of it; N concurrent calls leave one row.

        It is known by its external id; without one, by the start of its period among those without
        one. The subscription is locked until the unit ends. A report that a settled invoice (paid,
        void, uncollectible) is a draft or open is older than what is stored: it changes nothing.

        Args:
            subscription_id: The subscription.
            period_start: The first instant of the period.
            period_end: The first instant after it.
            amount_cents: In the smallest unit of the currency; below 0 for a credit.
            external_invoice_id: The processor's id.
            fields: Further columns; of a present row, those not given stay as they are.

        Returns:
            The row, and whether it is new.

        Raises:
            NotFoundError: The tenant has no such subscription.
            InvalidValueError: The period ends before it begins, the currency is not three
                upper-case letters, or a column refuses its value.
        """
        check_fields(fields, InvoiceFields)
        self.unit.check_writable(self.model)
        values: dict[str, Any] = {
            "period_start": period_start,
            "period_end": period_end,
            "amount_cents": amount_cents,
            **fields,
        }
        _check(external_invoice_id, values)
        await TenantSubscriptionRepository(self.unit).require(subscription_id, lock=True)
        present = await self._present(subscription_id, external_invoice_id, period_start)
        if present is None:
            key = {"subscription_id": subscription_id, "external_invoice_id": external_invoice_id}
            row: dict[str, Any] = {**key, **values}
            return await self.add(SubscriptionInvoice(**row)), True
        late = values.get("status", present.status) in UNSETTLED_INVOICE_STATUSES
        if late and present.status in SETTLED_INVOICE_STATUSES:
            return present, False
        return await self.update(present.id, **values), False

    async def _present(
        self, subscription: UUID, external_id: str | None, start: datetime
    ) -> SubscriptionInvoice | None:
        """Return the stored row of an invoice, the oldest should an import have left several."""
        owner, key = SubscriptionInvoice.subscription_id, SubscriptionInvoice.external_invoice_id
        if external_id is None:
            started = SubscriptionInvoice.period_start == start
            return await self.find(owner == subscription, key.is_(None), started)
        # Wrapped: SQLite takes any subscription for as selective as the id of one invoice.
        return await self.find(func.coalesce(owner, null()) == subscription, key == external_id)

    async def for_tenant(
        self, *, tenant_id: UUID | None = None, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionInvoice]:
        """Return a page of the invoices of all the tenant's subscriptions, newest period first.

        Args:
            tenant_id: The tenant, in a system unit.
            after: Cursor of the page before; None starts.
            limit: Rows of a page, 1 to 500.
        """
        tenant = self.unit.scope.owner(tenant_id)
        mine = select(TenantSubscription.id).where(TenantSubscription.tenant_id == tenant)
        return await self._newest(
            SubscriptionInvoice.subscription_id.in_(mine), after=after, limit=limit
        )

    async def for_subscription(
        self, subscription_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SubscriptionInvoice]:
        """Return a page of the subscription's invoices, newest period first."""
        return await self._newest(
            SubscriptionInvoice.subscription_id == subscription_id, after=after, limit=limit
        )


def _check(external_id: str | None, values: dict[str, Any]) -> None:
    columns = {"external_invoice_id": external_id, **values}
    check_columns(SubscriptionInvoice, columns)
    check_period(values["period_start"], values["period_end"])
    check_currency("subscription_invoices", values.get("currency", "USD"))
