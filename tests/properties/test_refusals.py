"""What one of the databases would refuse or change is refused on both, by every verb."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb.billing.models import BillingPlan
from agentdb.database import Database
from agentdb.errors import InvalidValueError, ValueOutOfRangeError, ValueTooLongError
from agentdb.unit_of_work import UnitOfWork

Verb = Callable[[UnitOfWork, dict[str, Any]], Awaitable[None]]

SOUND: dict[str, Any] = {
    "code": "basic",
    "name": "Basic",
    "price_cents": 100,
    "currency": "EUR",
    "interval": "monthly",
}
REFUSED: dict[str, tuple[dict[str, Any], type[InvalidValueError]]] = {
    "300 characters for fewer": ({"name": "x" * 300}, ValueTooLongError),
    "an integer of 33 bits": ({"price_cents": 2**31}, ValueOutOfRangeError),
    "text with NUL": ({"name": "a\x00b"}, InvalidValueError),
    "text with half a character": ({"name": "\ud800"}, InvalidValueError),
    "an integer as text": ({"price_cents": "100"}, InvalidValueError),
    "an unknown label": ({"interval": "weekly"}, InvalidValueError),
    "JSON with NaN": ({"feature_toggles": {"a": float("nan")}}, InvalidValueError),
    "JSON with NUL": ({"feature_toggles": {"a\x00": 1}}, InvalidValueError),
}


def plan_of(values: dict[str, Any]) -> BillingPlan:
    """Return a plan with the values, sound or not."""
    return BillingPlan(**values)


async def add(unit: UnitOfWork, values: dict[str, Any]) -> None:
    """Add one row by the ORM."""
    await unit.billing_plans.add(plan_of(values))


async def add_many(unit: UnitOfWork, values: dict[str, Any]) -> None:
    """Add rows in bulk, the last of which has the values."""
    rows = [{**SOUND, "code": "first"}, values]
    await unit.billing_plans.add_many([plan_of(row) for row in rows])


async def upsert(unit: UnitOfWork, values: dict[str, Any]) -> None:
    """Add a row by Core."""
    await unit.billing_plans.upsert(values, ["code"])


async def update(unit: UnitOfWork, values: dict[str, Any]) -> None:
    """Change a stored row."""
    plan = await unit.billing_plans.add(plan_of({**SOUND, "code": "stored"}))
    await unit.billing_plans.update(plan.id, **values)


@pytest.mark.parametrize("verb", [add, add_many, upsert, update])
@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_value_is_the_same_error_everywhere(
    agentdb_database: Database, verb: Verb, case: str
) -> None:
    """Before any SQL, with the table and the column and without the value."""
    values, error = REFUSED[case]
    async with agentdb_database.begin_system(reason="test") as unit:
        with pytest.raises(InvalidValueError) as caught:
            await verb(unit, {**SOUND, **values})

    (column,) = values
    assert error is caught.type
    assert ("billing_plans", column) == (caught.value.table, caught.value.column)
    assert "xxx" not in str(caught.value)


def test_defaults_do_not_depend_on_the_zone_of_the_process(agentdb_url: str) -> None:
    """A row made in New York carries the same instant as one made anywhere."""
    program = f"""
import asyncio
from agentdb import Database
from agentdb.models import TenantAccount

async def main():
    async with Database({agentdb_url!r}) as database:
        async with database.begin_system(reason="test") as unit:
            tenant = await unit.tenant_accounts.add(TenantAccount(slug="a", name="A"))
        async with database.read(reason="test") as unit:
            print((await unit.tenant_accounts.require(tenant.id)).created_at.isoformat())

asyncio.run(main())
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "America/New_York", "PGTZ": "Asia/Kolkata"},
    )
    made = datetime.fromisoformat(found.stdout.strip())

    assert timedelta(0) == made.utcoffset()
    assert timedelta(minutes=5) > abs(datetime.now(UTC) - made)
