"""Moving what counters hold to other counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.auth.counters import SUMS, counter_key
from agentdb.auth.models import UsageCounter
from agentdb.repository.counting import check_sum
from agentdb.tenancy import CONFINED
from agentdb.tenancy.predicates import table_of
from agentdb.types import uuid_pk
from agentdb.unit import Unit

_ROWS_PER_STATEMENT = 1_000
_KEY = ("tenant_id", "user_id", "granularity", "period_start")
_counters: Any = table_of(UsageCounter)


async def take_counters(
    unit: Unit, user_id: UUID, tenant: UUID | None
) -> Sequence[Mapping[str, Any]]:
    """Delete a user's counters, of one tenant or of all, and return what they held.

    What is counted at the same time comes before, and is returned, or makes a new counter.
    """
    await unit.session.flush()
    where = [_counters.c.user_id == user_id]
    where += [] if tenant is None else [_counters.c.tenant_id == tenant]
    gone = await unit.execute(delete(_counters).where(*where).returning(_counters))
    rows: list[dict[str, Any]] = [{**row} for row in gone.mappings()]
    for row in rows:
        unit.forget(UsageCounter, (row["id"],))
    # Folds of two users meet in the same counters: in one order they do not wait for each other.
    return sorted(rows, key=lambda row: (row["tenant_id"], row["granularity"], row["period_start"]))


async def give_to_nobody(unit: Unit, rows: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """Add what counters held to those of nobody in particular; as of `add_to_counters`."""
    await add_to_counters(unit, [{**row, "user_id": None} for row in rows], at)


async def add_to_counters(unit: Unit, rows: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """Add to counters, which are made where absent; what others add meanwhile stays.

    Args:
        unit: The unit; in a savepoint, as a part of the rows may be written when it fails.
        rows: What to add, by column; one row for each counter.
        at: The clock of the change.

    Raises:
        ValueOutOfRangeError: A sum exceeds its column.
    """
    of_users = [_new(row, at) for row in rows if row["user_id"] is not None]
    of_nobody = [_new(row, at) for row in rows if row["user_id"] is None]
    for counted in (of_users, of_nobody):
        for start in range(0, len(counted), _ROWS_PER_STATEMENT):
            await _add(unit, counted[start : start + _ROWS_PER_STATEMENT])


def _new(row: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    kept = {name: row[name] for name in (*_KEY, *SUMS)}
    return {**kept, "id": uuid_pk(), "created_at": at, "updated_at": at}


async def _add(unit: Unit, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to counters that are all of users, or all of nobody."""
    insert = postgresql.insert if unit.is_postgresql else sqlite.insert
    key = counter_key(by_user=rows[0]["user_id"] is not None)
    statement = insert(UsageCounter).values(list(rows))
    sums = {name: _counters.c[name] + statement.excluded[name] for name in SUMS}
    target: dict[str, Any] = {"index_elements": list(key.columns)}
    if key.where:
        target["index_where"] = key.where[0]
    added: Any = statement.on_conflict_do_update(
        **target,
        set_={**sums, "updated_at": statement.excluded.updated_at},
    ).returning(UsageCounter)
    options = {CONFINED: True, "synchronize_session": False, "populate_existing": True}
    for counter in await unit.session.scalars(added, execution_options=options):
        for name in SUMS:
            check_sum(counter, name)
