"""Values of single columns: valid, and told apart by a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy import Column

from agentdb.activity.values import ActivityAction
from agentdb.auth.values import PepperVersion, SecurityEventType, TenantRole, UserStatus
from agentdb.billing.values import FeatureKey, UsageUnit
from agentdb.conversations.values import RunItemType
from agentdb.status.values import SubscriptionStatus
from agentdb.storage.values import StorageProvider
from agentdb.types import Choice, CITEXTCompat, JSONCompat, NativeEnum

EPOCH = datetime(2025, 3, 1, 12, tzinfo=UTC)
"""The instant at which every factory begins."""
FAR = datetime(2100, 1, 1, tzinfo=UTC)
"""When what expires does so: long after the test, whatever its clock."""
LISTS = {"attachments", "billing_contacts_json", "request_usage_entries", "scopes"}
"""JSON columns that hold a list."""

USUAL: dict[tuple[str, str], object] = {
    ("activity_events", "action"): ActivityAction.CONVERSATION_CREATED,
    ("agent_conversations", "agent_entrypoint"): "triage",
    ("agent_run_events", "run_item_type"): RunItemType.MESSAGE,
    ("billing_plans", "price_cents"): 1000,
    ("password_history", "password_pepper_version"): PepperVersion.V2,
    ("security_events", "event_type"): SecurityEventType.PASSWORD_CHANGE,
    ("service_account_tokens", "account"): "service-{}",
    ("service_account_tokens", "expires_at"): FAR,
    ("status_subscriptions", "created_by"): "system",
    ("status_subscriptions", "status"): SubscriptionStatus.ACTIVE,
    ("storage_buckets", "provider"): StorageProvider.MEMORY,
    ("stripe_events", "event_type"): "invoice.paid",
    ("stripe_events", "stripe_event_id"): "evt_{}",
    ("subscription_invoices", "amount_cents"): 1000,
    ("subscription_usage", "feature_key"): FeatureKey.MESSAGES,
    ("subscription_usage", "unit"): UsageUnit.UNITS,
    ("tenant_signup_invite_reservations", "email"): "invited-{}@example.com",
    ("tenant_signup_requests", "email"): "request-{}@example.com",
    ("tenant_accounts", "name"): "Tenant {}",
    ("tenant_accounts", "slug"): "tenant-{}",
    ("tenant_signup_invite_reservations", "expires_at"): FAR,
    ("tenant_user_memberships", "role"): TenantRole.MEMBER,
    ("user_notification_preferences", "channel"): "email",
    ("users", "email"): "user-{}@example.com",
    ("users", "status"): UserStatus.ACTIVE,
    ("workflow_runs", "id"): "run-{}",
    ("workflow_run_steps", "id"): "step-{}",
}
"""What a row holds where nothing is said; ``{}`` stands for its label."""


def is_drawn(column: Column[Any]) -> bool:
    """Tell whether the database draws the value."""
    return column.computed is not None or (
        column.primary_key and column.type.python_type is int and not column.foreign_keys
    )


def needs_value(column: Column[Any]) -> bool:
    """Tell whether a row has to say what the column holds, for the row to be repeatable."""
    if is_drawn(column) or column.nullable:
        return False
    from_clock = column.primary_key or column.type.python_type is datetime
    usual = (column.table.name, column.name) in USUAL
    return column.default is None or from_clock or usual


def usual(column: Column[Any], label: str, at: datetime) -> Any:
    """Return what a row with *label* that was made at an instant holds in a column."""
    found = USUAL.get((column.table.name, column.name))
    if found is not None:
        return found.format(label) if type(found) is str else found
    is_name = column.type.python_type is str and not isinstance(column.type, Choice | CITEXTCompat)
    return _numbered(column, label) if is_name else made(column, label, at)


def _numbered(column: Column[Any], label: str) -> str:
    length: int = getattr(column.type, "length", None) or 0
    # Cut at the front: the label tells the rows apart.
    return f"{_word(column)}-{label}"[-length:]


def made(column: Column[Any], label: str, at: datetime = EPOCH) -> Any:
    """Return a valid value, made from *label* where the type has room for it."""
    kind = column.type.python_type
    if isinstance(column.type, Choice):
        return column.type.labels[0]
    if isinstance(column.type, JSONCompat):
        return [{"label": label}] if column.name in LISTS else {"label": label}
    if isinstance(column.type, NativeEnum):
        return next(iter(cast("Iterable[Any]", kind)))
    return _MAKERS[kind](column, label, at)


def uuid_of(column: Column[Any], label: str) -> UUID:
    """Return the UUID that a label stands for in a column; the same one each time."""
    return uuid5(NAMESPACE_OID, f"{label}/{column}")


def _word(column: Column[Any]) -> str:
    return column.name.replace("_", "-")


def _text(column: Column[Any], label: str, _: datetime) -> str:
    if isinstance(column.type, CITEXTCompat):
        return f"{label}@{_word(column)}.example"
    length: int | None = getattr(column.type, "length", None)
    return f"{label}-{_word(column)}"[:length]


def _uuid(column: Column[Any], label: str, _: datetime) -> UUID:
    return uuid_of(column, label)


def _instant(_: Column[Any], __: str, at: datetime) -> datetime:
    return at


def _one(_: Column[Any], __: str, ___: datetime) -> int:
    return 1


def _true(_: Column[Any], __: str, ___: datetime) -> bool:
    return True


def _bytes(_: Column[Any], label: str, __: datetime) -> bytes:
    return label.encode()


def _day(_: Column[Any], __: str, at: datetime) -> date:
    return at.date()


_MAKERS: dict[type[Any], Callable[[Column[Any], str, datetime], Any]] = {
    UUID: _uuid,
    str: _text,
    bytes: _bytes,
    int: _one,
    bool: _true,
    datetime: _instant,
    date: _day,
}
