"""Entities that a unit answers before it has a session: they are as good as those of one."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import inspect

from agentdb import Database, UnitOfWork
from agentdb.answers import ENOUGH
from agentdb.errors import TenantMismatchError
from agentdb.models import TenantAccount, UsageCounter

pytestmark = pytest.mark.agentdb_commits

DAY = date(2026, 3, 2)


async def counted(unit: UnitOfWork, day: date = DAY) -> UsageCounter:
    """Return a counter that a statement past the ORM has answered."""
    return await unit.usage_counters.increment(None, day, requests=1)


async def requests(database: Database, tenant: TenantAccount) -> int:
    """Return the sum that was committed."""
    async with database.begin(tenant=tenant.id) as unit:
        return (await unit.usage_counters.totals(DAY, DAY + timedelta(days=1000))).requests


async def test_a_counter_makes_no_session(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A row is one entity in the unit, brought up to date; afterwards it can still be read."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        first, second = await counted(unit), await counted(unit)
        assert unit.used_session is None

    assert first is second
    assert first.requests == 2


async def test_a_session_takes_over_what_was_answered(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Its queries find the same entity, and what is answered later is its own at once."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        counter = await counted(unit)
        assert await unit.usage_counters.get(counter.id) is counter
        later = await counted(unit, DAY + timedelta(days=1))

        assert counter in unit.session
        assert later in unit.session
        assert await counted(unit) is counter
        assert counter.requests == 2


async def test_what_the_host_changes_in_an_answer_is_written(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """When the unit ends, and before the next statement reads the row."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        (await counted(unit)).requests = 40
        assert (await counted(unit)).requests == 41
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        (await counted(unit)).requests += 100

    assert await requests(agentdb_database, agentdb_tenant) == 142


async def test_an_answer_that_the_host_gives_away_is_refused(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """As any entity of the tenant is; nothing of the unit stays."""
    with pytest.raises(TenantMismatchError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
            (await counted(unit)).tenant_id = uuid4()

    assert await requests(agentdb_database, agentdb_tenant) == 0


async def test_a_long_unit_does_not_keep_all_answers(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A session takes over, which forgets what nobody holds."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        held = [await counted(unit, DAY + timedelta(days=n)) for n in range(ENOUGH + 1)]
        assert unit.used_session is not None
        assert all(inspect(counter).session is unit.session.sync_session for counter in held)

    assert await requests(agentdb_database, agentdb_tenant) == ENOUGH + 1
