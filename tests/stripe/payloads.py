"""Webhook events in the shapes that Stripe documents: https://docs.stripe.com/api/events/object."""

from __future__ import annotations

from typing import Any

from agentdb.types import JsonObject

CREATED = 1_772_452_800
"""2026-03-02T12:00:00Z."""


def event(kind: str, data: JsonObject, *, number: int = 1, created: int = CREATED) -> JsonObject:
    """Return an event about an object."""
    return {
        "id": f"evt_{number:024d}",
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": created,
        "data": {"object": data},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def subscription(status: str = "active", **changes: Any) -> JsonObject:
    """Return a subscription to one price."""
    price = {
        "id": "price_1",
        "object": "price",
        "currency": "eur",
        "lookup_key": "pro",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "unit_amount": 2900,
        "unit_amount_decimal": "2900",
    }
    item = {
        "id": "si_1",
        "object": "subscription_item",
        "current_period_start": CREATED,
        "current_period_end": CREATED + 2_678_400,
        "price": price,
        "quantity": 3,
        "subscription": "sub_1",
    }
    return {
        "id": "sub_1",
        "object": "subscription",
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "charge_automatically",
        "customer": "cus_1",
        "items": {"object": "list", "data": [item], "has_more": False},
        "metadata": {"tenant": "acme"},
        "start_date": CREATED,
        "status": status,
        "trial_end": None,
        **changes,
    }


def invoice(status: str = "paid", **changes: Any) -> JsonObject:
    """Return an invoice of that subscription."""
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 8700,
        "amount_paid": 8700 if status == "paid" else 0,
        "billing_reason": "subscription_cycle",
        "currency": "eur",
        "customer": "cus_1",
        "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/" + "x" * 300,
        "lines": {"object": "list", "data": [], "has_more": False},
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}},
        },
        "period_start": CREATED,
        "period_end": CREATED + 2_678_400,
        "status": status,
        **changes,
    }


def checkout() -> JsonObject:
    """Return a completed session of Checkout."""
    return {
        "id": "cs_test_1",
        "object": "checkout.session",
        "client_reference_id": "acme",
        "customer": "cus_1",
        "customer_details": {"email": "anna@example.com", "name": "Änna Ñuñez", "tax_ids": []},
        "mode": "subscription",
        "payment_status": "paid",
        "status": "complete",
        "subscription": "sub_1",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 1386},
    }


ALL = [
    event(kind, data, number=number)
    for number, (kind, data) in enumerate(
        [
            ("checkout.session.completed", checkout()),
            ("customer.subscription.created", subscription("incomplete")),
            ("customer.subscription.updated", subscription(cancel_at_period_end=True)),
            ("customer.subscription.deleted", subscription("canceled", canceled_at=CREATED)),
            ("invoice.finalized", invoice("open")),
            ("invoice.paid", invoice()),
            ("invoice.payment_failed", invoice("open", attempt_count=1)),
        ],
        start=1,
    )
]
"""One event of each type that billing lives by."""
