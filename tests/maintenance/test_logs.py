from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from agentdb import Database
from agentdb.maintenance import Report, purge_login_events, purge_security_events
from agentdb.maintenance.logs import LoginEvents, SecurityEvents
from agentdb.maintenance.runner import Sweep
from agentdb.testing import Factory
from agentdb.types import utc_now
from tests.plans import plans_of

DAY = timedelta(days=1)
YEARS = 3 * 365 * DAY

LOGS = {"user_login_events": purge_login_events, "security_events": purge_security_events}
Purge = Callable[..., Awaitable[Report]]


@pytest.mark.parametrize(("table", "purge"), LOGS.items(), ids=list(LOGS))
async def test_a_log_is_purged_by_age(
    agentdb_database: Database, agentdb_make: Factory, table: str, purge: Purge
) -> None:
    """A dry run counts what goes; a second run finds nothing."""
    make: Any = getattr(agentdb_make, table.removesuffix("s"))
    young = make(created_at=utc_now())
    make.many(3, created_at=utc_now() - YEARS)
    dry = await purge(agentdb_database, dry_run=True)

    assert dry == await purge(agentdb_database, batch=2) == Report({"deleted": 3}, done=True)
    assert await purge(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        assert [row.id for row in await getattr(uow, table).all()] == [young.id]
    assert (await purge(agentdb_database, older_than=timedelta(0))).counts == {"deleted": 1}


@pytest.mark.parametrize(("table", "purge"), LOGS.items(), ids=list(LOGS))
async def test_a_purge_for_a_tenant_leaves_the_others(
    agentdb_database: Database, agentdb_make: Factory, table: str, purge: Purge
) -> None:
    """Those of nobody too; without a tenant all go."""
    make: Any = getattr(agentdb_make, table.removesuffix("s"))
    other = agentdb_make.tenant_account()
    for tenant in (agentdb_make.tenant, other, None):
        make(created_at=utc_now() - YEARS, tenant=tenant)
    mine = await purge(agentdb_database, tenant_id=agentdb_make.tenant.id)

    assert mine.counts == {"deleted": 1}
    assert (await purge(agentdb_database, max_batches=1, batch=1)).done is False
    assert (await purge(agentdb_database)).counts == {"deleted": 1}


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (LoginEvents(None, DAY), "ix_user_login_events_created"),
        (SecurityEvents(None, DAY), "ix_security_events_created"),
    ],
    ids=list(LOGS),
)
async def test_a_purge_follows_its_index(
    agentdb_database: Database, agentdb_make: Factory, sweep: Sweep[object], index: str
) -> None:
    """No batch reads a table from end to end, the dry run neither."""
    table = index.removeprefix("ix_").removesuffix("_created")
    make: Any = getattr(agentdb_make, table.removesuffix("s"))
    for day in range(100):
        make(created_at=utc_now() - day * DAY)
    for after in (None, (utc_now() - 50 * DAY, uuid4())):
        async with agentdb_database.begin_system(reason="test") as uow:
            # Of an empty table PostgreSQL does not know which of several indexes is best.
            await uow.session.execute(text(f"ANALYZE {table}"))
            plans = await plans_of(uow, sweep.change(uow, after, 10))
            plans += await plans_of(uow, sweep.count(uow, None))

        assert len(plans) == 2
        for plan in plans:
            plan.assert_uses_index(index)
            plan.assert_scans_nothing()
