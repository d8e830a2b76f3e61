"""Taking in the invoices of a payment processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from agentdb.billing.models import SubscriptionInvoice
from agentdb.billing.rows import IngestedInvoice, NewInvoice, UsageLine
from agentdb.billing.values import SubscriptionProcessor
from agentdb.errors import NotFoundError
from agentdb.tenancy.predicates import table_of
from agentdb.types import String
from agentdb.unit_of_work import UnitOfWork

_URL = table_of(SubscriptionInvoice).c.hosted_invoice_url.type


async def ingest_invoice(
    uow: UnitOfWork,
    processor_subscription_id: str,
    invoice: NewInvoice,
    lines: Sequence[UsageLine] = (),
    *,
    processor: str = SubscriptionProcessor.STRIPE,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> IngestedInvoice:
    """Store an invoice of a processor, and the use that its metered lines tell of.

    All or nothing, and once: N concurrent deliveries leave one invoice, and one row of use for
    each line. A hosted URL that the column does not hold is left out rather than cut.

    Args:
        uow: A unit of work.
        processor_subscription_id: The processor's id of the subscription.
        invoice: The invoice; of a stored one what is older changes nothing, as of
            ``subscription_invoices.put``.
        lines: Its metered lines.
        processor: The payment processor.
        tenant_id: The tenant; a system unit that names none looks at all of them.
        now: The clock of the report.

    Raises:
        NotFoundError: There is no such subscription.
        InvalidValueError: A value is refused; nothing is stored.
    """
    found = await uow.tenant_subscriptions.by_processor_id(
        processor, processor_subscription_id, tenant_id=tenant_id
    )
    if found is None:
        raise NotFoundError("no such row of tenant_subscriptions")
    stored, dropped = _fitting(invoice)
    async with uow.savepoint():
        for line in sorted(lines, key=lambda line: (line.feature_key, line.external_event_id)):
            await uow.subscription_usage.record_once(
                found.id,
                line.feature_key,
                line.quantity,
                line.period_start,
                line.period_end,
                external_event_id=line.external_event_id,
                unit=line.unit,
                now=now,
            )
        # Last: a line that is refused would leave a loaded invoice with values that were undone.
        row, created = await uow.subscription_invoices.put(
            found.id,
            stored.period_start,
            stored.period_end,
            stored.amount_cents,
            external_invoice_id=stored.external_invoice_id,
            currency=stored.currency,
            status=stored.status,
            hosted_invoice_url=stored.hosted_invoice_url,
        )
    return IngestedInvoice(row, created, url_dropped=dropped)


def _fitting(invoice: NewInvoice) -> tuple[NewInvoice, bool]:
    """Return an invoice whose URL fits, and whether it was left out for that."""
    url = invoice.hosted_invoice_url
    limit = _URL.length if isinstance(_URL, String) else None
    if url is None or limit is None or len(url) <= limit:
        return invoice, False
    return replace(invoice, hosted_invoice_url=None), True
