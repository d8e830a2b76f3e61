"""How the counters of usage add up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal

from agentdb.auth.models import UsageCounter
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import InvalidValueError
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy.predicates import table_of
from agentdb.types import BigInteger

_TABLE = UsageCounter.__tablename__

SUMS = ("input_tokens", "output_tokens", "requests", "storage_bytes")
"""The columns that add up."""


class Totals(NamedTuple):
    """What was consumed, added up over counters.

    Attributes:
        input_tokens: Tokens that models read.
        output_tokens: Tokens that models wrote.
        requests: Requests to models.
        storage_bytes: What the changes of the stored bytes come to.
    """

    input_tokens: int
    output_tokens: int
    requests: int
    storage_bytes: int


def summed(columns: Any) -> list[ColumnElement[int]]:
    """Return the columns of `Totals` over all rows of a query; 0 over none."""
    return [func.coalesce(func.sum(getattr(columns, name)), 0) for name in SUMS]


def check_period(start: date, granularity: str) -> None:
    """Refuse a month that does not start on its first day.

    Raises:
        InvalidValueError: It does not.
    """
    if granularity == UsageCounterGranularity.MONTH and start.day != 1:
        expected = "a month starts on its first day"
        raise InvalidValueError(expected, table=_TABLE, column="period_start")


def counter_key(user: UUID | None) -> UniqueKey:
    """Return the key that a counter is known by: NULLs are distinct in that of users."""
    if user is None:
        return UniqueKey.find(UsageCounter, "uq_usage_counters_tenant_period_null_user")
    return UniqueKey.find(UsageCounter, ["tenant_id", "user_id", "period_start", "granularity"])


def counter_changes(
    sums: Mapping[str, int], storage_bytes: int, *, postgresql: bool
) -> dict[str, ColumnElement[Any]]:
    """Return what becomes of a present counter: sums grow, the level of storage also falls.

    Raises:
        InvalidValueError: A number is no whole one, or one of *sums* is below 0.
    """
    for name, amount in {**sums, "storage_bytes": storage_bytes}.items():
        if type(amount) is not int or (name in sums and amount < 0):
            expected = "expects a whole number, 0 or more but for storage"
            raise InvalidValueError(expected, table=_TABLE, column=name)
    table, greatest = table_of(UsageCounter), func.greatest if postgresql else func.max
    level = table.c.storage_bytes + literal(storage_bytes, BigInteger())
    return {
        **{name: table.c[name] + literal(amount, BigInteger()) for name, amount in sums.items()},
        "storage_bytes": greatest(level, literal(0, BigInteger())),
    }
