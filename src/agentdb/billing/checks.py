"""What plans and their features may look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agentdb.billing.models import TenantSubscription
from agentdb.canonical import canonical_email
from agentdb.errors import InvalidValueError
from agentdb.orm import Base
from agentdb.tenancy.predicates import table_of

_CURRENCY = re.compile(r"[A-Z]{3}")

_LEAST = {
    "price_cents": 0,
    "trial_days": 0,
    "seat_included": 0,
    "seat_count": 0,
    "interval_count": 1,
    "hard_limit": 0,
    "soft_limit": 0,
}


def check_columns(model: type[Base], values: Mapping[str, Any]) -> None:
    """Refuse, before any SQL is sent, values that columns would refuse, and numbers below sense.

    Raises:
        InvalidValueError: A value is refused, or a column does not exist.
    """
    table = table_of(model)
    for name, value in values.items():
        if name not in table.c:
            raise InvalidValueError(f"{table.name} has no {name}")
        kind: Any = table.c[name].type
        if value is None and table.c[name].nullable:
            continue
        checked = kind.check(value)
        least = _LEAST.get(name)
        if least is not None and checked < least:
            message = f"expects a whole number from {least}"
            raise InvalidValueError(message, table=table.name, column=name)


def check_currency(table: str, currency: str) -> None:
    """Refuse what is no code of ISO 4217 by its form.

    Raises:
        InvalidValueError: It is not three upper-case letters.
    """
    if not _CURRENCY.fullmatch(currency):
        raise InvalidValueError("expects three upper-case letters", table=table, column="currency")


def check_limits(soft: int | None, hard: int | None) -> None:
    """Refuse a soft limit that is never met.

    Raises:
        InvalidValueError: It is above the hard one.
    """
    if soft is not None and hard is not None and soft > hard:
        message = "a soft limit is not above the hard one"
        raise InvalidValueError(message, table="plan_features", column="soft_limit")


def check_period(start: Any, end: Any) -> None:
    """Refuse a period that ends before it begins; one without a known end or start is none.

    Raises:
        InvalidValueError: It does.
    """
    if start is not None and end is not None and end < start:
        raise InvalidValueError("a period ends after it has begun")


def subscription_columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns of a subscription that a caller gave, checked before any SQL is sent.

    Raises:
        InvalidValueError: A value is refused.
    """
    columns = dict(fields)
    if columns.get("billing_email") is not None:
        columns["billing_email"] = canonical_email(columns["billing_email"])
    check_columns(TenantSubscription, columns)
    check_period(columns.get("current_period_start"), columns.get("current_period_end"))
    return columns
