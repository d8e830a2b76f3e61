"""Subscriptions as the tests of this folder begin them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agentdb import UnitOfWork
from agentdb.models import StatusSubscription

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

SECRETS = (
    "verification_token_hash",
    "challenge_token_hash",
    "webhook_secret_encrypted",
    "unsubscribe_token_hash",
    "unsubscribe_token_encrypted",
)


def wish(**values: Any) -> dict[str, Any]:
    """Return the arguments of a subscription whose verification ends at one o'clock."""
    return {
        "channel": "email",
        "target_hash": "hash",
        "target_masked": "a***@example.com",
        "target_encrypted": b"sealed",
        "created_by": "anonymous",
        "verification_token_hash": "first",
        "verification_expires_at": NOON + HOUR,
        "now": NOON,
        **values,
    }


async def subscribed(uow: UnitOfWork, **values: Any) -> StatusSubscription:
    """Return a pending subscription."""
    row, _ = await uow.status_subscriptions.subscribe(**wish(**values))
    return row


async def active(uow: UnitOfWork, **values: Any) -> StatusSubscription:
    """Return an active subscription."""
    row = await subscribed(uow, **values)
    return await uow.status_subscriptions.activate(row.id, now=NOON)
