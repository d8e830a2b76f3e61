"""Events as Stripe sent them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from agentdb.checks import check_text, check_values
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.stripe.models import StripeEvent, StripeEventDispatch
from agentdb.stripe.outcomes import dispatches_of, settle
from agentdb.stripe.rows import Ingested
from agentdb.types import JsonObject


class StripeEventRepository(Repository[StripeEvent, UUID]):
    """Events as Stripe sent them, for system units alone."""

    model = StripeEvent
    newest = "received_at"

    async def ingest(
        self,
        stripe_event_id: str,
        event_type: str,
        payload: JsonObject,
        handlers: Iterable[str],
        *,
        tenant_hint: str | None = None,
        stripe_created_at: datetime | None = None,
        now: datetime | None = None,
    ) -> Ingested:
        """Store a webhook delivery, and the work of each handler on it.

        Stripe delivers an event at least once, and in any order
        (https://docs.stripe.com/webhooks#behaviors): N concurrent deliveries of one event all
        succeed and leave one row, with one row for each handler. A later delivery adds the handlers
        that are missing, and changes nothing else. An event without a handler is processed at once.

        Args:
            stripe_event_id: Stripe's id, ``evt_...``.
            event_type: For example ``invoice.paid``.
            payload: The event as Stripe sent it, after its signature was checked.
            handlers: Names of the handlers.
            tenant_hint: What the payload says of the tenant.
            stripe_created_at: When Stripe made the event.
            now: The clock of the delivery.

        Raises:
            InvalidValueError: A value is refused.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        names = _checked_handlers(handlers)
        self.unit.check_writable(self.model)
        values = {
            "stripe_event_id": stripe_event_id,
            "event_type": event_type,
            "payload": payload,
            "tenant_hint": tenant_hint,
            "stripe_created_at": stripe_created_at,
            "received_at": await self.unit.read_clock(now),
        }
        async with self.unit.savepoint():
            stored, created = await self.upsert(values, ["stripe_event_id"], update=())
            event = await self.require(stored.id, lock=True)
            await self._add_missing(event, names, now)
        return Ingested(event, created, await dispatches_of(self.unit, event.id))

    async def _add_missing(
        self, event: StripeEvent, names: Sequence[str], now: datetime | None
    ) -> None:
        """Add work to a locked event, which is not processed then, if it was before."""
        present = {work.handler for work in await dispatches_of(self.unit, event.id)}
        at = await self.unit.read_clock(now)
        new = [
            StripeEventDispatch(
                stripe_event_id=event.id, handler=name, next_retry_at=at, created_at=at
            )
            for name in names
            if name not in present
        ]
        self.unit.session.add_all(new)
        await self.unit.session.flush()
        if new or not present:
            await settle(self.unit, event, at)

    async def search(
        self,
        *,
        outcome: str | None = None,
        event_type: str | None = None,
        tenant_hint: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[StripeEvent]:
        """Return a page of events, those received last first.

        Args:
            outcome: ``received``, ``processed`` or ``failed``.
            event_type: For example ``invoice.paid``.
            tenant_hint: What the payload says of the tenant.
            after: Cursor of the page before; None starts.
            limit: Events of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
        """
        given = {
            StripeEvent.processing_outcome: outcome,
            StripeEvent.event_type: event_type,
            StripeEvent.tenant_hint: tenant_hint,
        }
        where = [column == value for column, value in given.items() if value is not None]
        return await self._newest(*where, after=after, limit=limit)

    async def processed(self, *, after: str | None = None, limit: int = 50) -> Page[StripeEvent]:
        """Return a page of the processed events, those processed first come first."""
        return await self.page(
            StripeEvent.processed_at.is_not(None),
            order=[StripeEvent.processed_at],
            after=after,
            limit=limit,
        )

    async def by_stripe_event_id(self, stripe_event_id: str) -> StripeEvent | None:
        """Return the event with Stripe's id, if any."""
        return await self._by(StripeEvent.stripe_event_id, stripe_event_id)


def _checked_handlers(handlers: Iterable[str]) -> Sequence[str]:
    """Return the names in one order, so that concurrent deliveries insert in the same."""
    return sorted({check_text(name, "a handler") for name in check_values(handlers, "handlers")})
