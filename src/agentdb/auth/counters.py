"""How the counters of usage add up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, literal_column, select

from agentdb.auth.models import TenantUserMembership, UsageCounter
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import InvalidValueError
from agentdb.repository.counting import Insert, counting
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy.predicates import table_of
from agentdb.tenants.models import TenantAccount
from agentdb.types import BigInteger, Date, Uuid

_TABLE = UsageCounter.__tablename__
_tenants = table_of(TenantAccount)
_memberships = table_of(TenantUserMembership)

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
        InvalidValueError: It does not, or is no date.
    """
    Date().check(start)
    if granularity == UsageCounterGranularity.MONTH and start.day != 1:
        expected = "a month starts on its first day"
        raise InvalidValueError(expected, table=_TABLE, column="period_start")


def counter_key(*, by_user: bool) -> UniqueKey:
    """Return the key that a counter is known by: NULLs are distinct in that of users."""
    if not by_user:
        return UniqueKey.find(UsageCounter, "uq_usage_counters_tenant_period_null_user")
    return UniqueKey.find(UsageCounter, ["tenant_id", "user_id", "period_start", "granularity"])


def check_amounts(sums: Mapping[str, int], storage_bytes: int) -> None:
    """Refuse what is not to be added.

    Raises:
        InvalidValueError: A number is no whole one, or one of *sums* is below 0.
    """
    for name, amount in {**sums, "storage_bytes": storage_bytes}.items():
        if type(amount) is not int or (name in sums and amount < 0):
            expected = "expects a whole number, 0 or more but for storage"
            raise InvalidValueError(expected, table=_TABLE, column=name)


def is_tenant(tenant: Any) -> ColumnElement[bool]:
    """Return the condition that there is such a tenant."""
    return exists(select(_tenants.c.id).where(_tenants.c.id == tenant))


def _is_member(tenant: Any, user: Any) -> ColumnElement[bool]:
    mine = _memberships.c.tenant_id == tenant, _memberships.c.user_id == user
    return exists(select(_memberships.c.id).where(*mine))


@cache
def count_up(*, by_user: bool, by_member: bool, on_postgresql: bool) -> Insert:
    """Add to a counter of a user or of nobody: sums grow, the level of storage also falls.

    Args:
        by_user: Whether there is a user.
        by_member: Whether the user has to be a member of the tenant, else nothing is counted.
        on_postgresql: Whether the database is PostgreSQL, else it is SQLite.
    """
    tenant, user = bindparam("tenant_id", type_=Uuid()), bindparam("user_id", type_=Uuid())
    parents = [is_tenant(tenant), *([_is_member(tenant, user)] if by_member else [])]
    greatest = func.greatest if on_postgresql else func.max
    change = bindparam("storage_change", type_=BigInteger())
    level = greatest(table_of(UsageCounter).c.storage_bytes + change, literal_column("0"))
    return counting(
        UsageCounter,
        counter_key(by_user=by_user),
        and_(*parents),
        {**dict.fromkeys(SUMS), "storage_bytes": level},
        {"created_at": False, "updated_at": True},
        on_postgresql=on_postgresql,
    )
