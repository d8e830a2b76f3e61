"""What the verbs and the maintenance of status subscriptions share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String, literal_column

from agentdb.status.models import StatusSubscription
from agentdb.status.values import SubscriptionStatus
from agentdb.tenancy.predicates import table_of

subscriptions: Any = table_of(StatusSubscription)

PENDING = StatusSubscription.status == SubscriptionStatus.PENDING_VERIFICATION
LIVE = StatusSubscription.status != SubscriptionStatus.REVOKED


def in_status(status: SubscriptionStatus) -> ColumnElement[bool]:
    """Return the condition that a subscription is in a state.

    The state is written out: a partial index is taken for a constant alone, not for a parameter
    (https://www.sqlite.org/partialindex.html).
    """
    found: ColumnElement[bool] = subscriptions.c.status == literal_column(f"'{status}'", String())
    return found


def revocation(at: Any, reason: str) -> dict[str, Any]:
    """Return what a revocation writes: no token, no secret and no address is left."""
    cleared = (
        "verification_token_hash",
        "challenge_token_hash",
        "webhook_secret_encrypted",
        "unsubscribe_token_hash",
        "unsubscribe_token_encrypted",
    )
    return {
        **dict.fromkeys(cleared),
        "target_encrypted": b"",
        "status": SubscriptionStatus.REVOKED,
        "revoked_at": at,
        "revoked_reason": reason,
        "updated_at": at,
    }
