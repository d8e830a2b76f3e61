"""What an event has come to, by what its handlers have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from agentdb.stripe.models import StripeEvent, StripeEventDispatch
from agentdb.stripe.values import StripeDispatchStatus, StripeProcessingOutcome
from agentdb.unit import Unit

_FAILED = {StripeDispatchStatus.FAILED, StripeDispatchStatus.DEAD}
_CURRENT = {"populate_existing": True}


async def dispatches_of(unit: Unit, event: UUID) -> Sequence[StripeEventDispatch]:
    """Return the work of all handlers on an event, by the name of the handler."""
    query = select(StripeEventDispatch).where(StripeEventDispatch.stripe_event_id == event)
    query = query.order_by(StripeEventDispatch.handler).execution_options(**_CURRENT)
    return (await unit.execute(query)).scalars().all()


async def lock_event(unit: Unit, event: UUID) -> StripeEvent | None:
    """Lock an event until the unit ends; what its handlers come to is decided one by one."""
    query = select(StripeEvent).where(StripeEvent.id == event).execution_options(**_CURRENT)
    return (await unit.execute(query.with_for_update(key_share=True))).scalar_one_or_none()


async def settle(unit: Unit, event: StripeEvent, at: datetime, *, attempts: int = 0) -> None:
    """Bring a locked event up to date with the work on it.

    It is processed when all handlers have completed, at once where it has none; failed while one
    of them has failed; received otherwise.

    Args:
        unit: The unit.
        event: The event.
        at: When it is processed, unless it was before.
        attempts: How many attempts of handlers have ended since.
    """
    values = _outcome(event, await dispatches_of(unit, event.id), at)
    values["processing_attempts"] = event.processing_attempts + attempts
    change = update(StripeEvent).where(StripeEvent.id == event.id).values(**values)
    await unit.execute(change.returning(StripeEvent).execution_options(**_CURRENT))


def _outcome(
    event: StripeEvent, work: Sequence[StripeEventDispatch], at: datetime
) -> dict[str, Any]:
    outcome, error, processed = StripeProcessingOutcome.RECEIVED, None, None
    failed = [one for one in work if one.status in _FAILED]
    if failed:
        outcome, error = StripeProcessingOutcome.FAILED, failed[0].last_error
    elif all(one.status == StripeDispatchStatus.COMPLETED for one in work):
        outcome, processed = StripeProcessingOutcome.PROCESSED, event.processed_at or at
    return {
        "processing_outcome": outcome,
        "processing_error": error,
        "processed_at": processed,
    }
