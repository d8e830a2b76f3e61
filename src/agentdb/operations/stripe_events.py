"""Taking in what Stripe delivers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agentdb.stripe.rows import Ingested
from agentdb.types import JsonObject
from agentdb.unit_of_work import UnitOfWork


async def ingest_stripe_event(
    uow: UnitOfWork,
    stripe_event_id: str,
    event_type: str,
    payload: JsonObject,
    handlers: Iterable[str],
    *,
    tenant_hint: str | None = None,
    stripe_created_at: datetime | None = None,
    now: datetime | None = None,
) -> Ingested:
    """Store a webhook delivery, and the work of each handler on it, in one commit.

    In a system unit; arguments, promises and errors as of `StripeEventRepository.ingest`. Answer
    Stripe when the unit has committed: what is stored is handled, what is not is delivered again.
    """
    return await uow.stripe_events.ingest(
        stripe_event_id,
        event_type,
        payload,
        handlers,
        tenant_hint=tenant_hint,
        stripe_created_at=stripe_created_at,
        now=now,
    )
