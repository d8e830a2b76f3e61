"""The reserved keys of a subscription's metadata: what a processor tells, and a pending change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agentdb.billing.values import SubscriptionMetadataKey
from agentdb.types import JsonObject

PENDING_KEYS = (
    SubscriptionMetadataKey.PENDING_PLAN_CODE,
    SubscriptionMetadataKey.PENDING_PLAN_EFFECTIVE_AT,
    SubscriptionMetadataKey.PENDING_SEAT_COUNT,
)

PROCESSOR_KEYS = (
    SubscriptionMetadataKey.PROCESSOR_STATUS,
    SubscriptionMetadataKey.PROCESSOR_PRICE_ID,
    SubscriptionMetadataKey.PROCESSOR_SCHEDULE_ID,
    SubscriptionMetadataKey.PROCESSOR_SUBSCRIPTION_ITEM_ID,
)
"""What a snapshot tells beside columns."""


def instant_text(at: datetime) -> str:
    """Return an instant in ISO 8601, in UTC and of one width, so that text sorts as time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def instant_of(text: object) -> datetime | None:
    """Return the instant that a text tells; None where a host has stored something else."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else None


def with_keys(metadata: JsonObject | None, keys: Mapping[str, Any]) -> JsonObject | None:
    """Return metadata with keys set, those without a value left out; None where nothing is left."""
    changed = {**(metadata or {}), **{str(key): value for key, value in keys.items()}}
    removed = {key for key, value in keys.items() if value is None}
    return {key: value for key, value in changed.items() if key not in removed} or None


def without_pending(metadata: JsonObject | None) -> JsonObject | None:
    """Return metadata without a pending change of the plan."""
    return with_keys(metadata, dict.fromkeys(PENDING_KEYS))


def with_pending(
    metadata: JsonObject | None, code: str, effective_at: datetime, seats: int | None
) -> JsonObject | None:
    """Return metadata with a pending change of the plan, in place of any other."""
    values = (code, instant_text(effective_at), seats)
    return with_keys(metadata, dict(zip(PENDING_KEYS, values, strict=True)))
