from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.maintenance import Report, expire_status_subscriptions
from agentdb.maintenance.status import UnverifiedSubscriptions
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now, uuid_pk
from tests.plans import plans_of
from tests.status.targets import SECRETS, active, subscribed

HOUR = timedelta(hours=1)


async def wished(uow: UnitOfWork, target: str, until: datetime, tenant: UUID | None = None) -> UUID:
    """Return the id of a pending subscription."""
    values = {"target_hash": target, "verification_expires_at": until, "tenant_id": tenant}
    return (await subscribed(uow, challenge_token_hash=target, **values)).id


async def test_what_nobody_verified_in_time_is_revoked(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Its tokens and its target are cleared as by a revocation; the others stay as they are."""
    now = utc_now()
    async with agentdb_database.begin_system(reason="test") as uow:
        late = await wished(uow, "late", now - HOUR, agentdb_make.tenant.id)
        verified = (await active(uow, target_hash="active")).id
        waiting = await wished(uow, "waiting", now + HOUR)
    dry = await expire_status_subscriptions(agentdb_database, dry_run=True)

    assert dry == await expire_status_subscriptions(agentdb_database)
    assert dry == Report({"revoked": 1}, done=True)
    again = await expire_status_subscriptions(agentdb_database)
    assert again == Report({"revoked": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        rows = await uow.status_subscriptions.get_many([late, verified, waiting])
        states = [rows[key].status for key in (late, verified, waiting)]
        row = rows[late]
        assert states == ["revoked", "active", "pending_verification"]
        assert [getattr(row, name) for name in SECRETS] == [None] * 5
        assert (row.target_encrypted, row.revoked_reason) == (b"", "verification_expired")
        # Two readings of the server's clock, which runs on between them.
        assert row.revoked_at is not None
        assert min(row.revoked_at, row.updated_at) >= now


async def test_an_expiry_waits_as_long_as_it_is_told_to(agentdb_database: Database) -> None:
    """An age is added to the time of the verification."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await wished(uow, "late", utc_now() - HOUR)
    verb = expire_status_subscriptions

    assert (await verb(agentdb_database, older_than=2 * HOUR)).counts == {"revoked": 0}
    assert (await verb(agentdb_database, older_than=HOUR / 2)).counts == {"revoked": 1}


async def test_an_expiry_in_batches_is_of_one_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Equal stamps are walked over once; what ``max_batches`` leaves is told."""
    late, own = utc_now() - HOUR, agentdb_make.tenant.id
    async with agentdb_database.begin_system(reason="test") as uow:
        for number in range(5):
            await wished(uow, f"{number}", late, own)
        await wished(uow, "service", late)
    verb = expire_status_subscriptions
    dry = await verb(agentdb_database, tenant_id=own, batch=2, max_batches=2, dry_run=True)
    done = await verb(agentdb_database, tenant_id=own, batch=2, max_batches=2)

    assert dry == done == Report({"revoked": 4}, done=False)
    assert (await verb(agentdb_database, tenant_id=own)).counts == {"revoked": 1}
    assert (await verb(agentdb_database)).counts == {"revoked": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_expiries_share_the_rows(agentdb_database: Database) -> None:
    """Each is counted by the one that revoked it."""
    async with agentdb_database.begin_system(reason="test") as uow:
        for number in range(40):
            await wished(uow, f"{number}", utc_now() - HOUR)

    async def call(_: int) -> Report:
        return await expire_status_subscriptions(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    rest = await expire_status_subscriptions(agentdb_database)

    assert outcomes.errors == []
    revoked = sum(report.counts["revoked"] for report in outcomes.results)
    assert revoked + rest.counts["revoked"] == 40


@pytest.mark.agentdb_plans
async def test_an_expiry_follows_its_index(agentdb_database: Database) -> None:
    """No batch reads the table from end to end, the dry run neither."""
    sweep = UnverifiedSubscriptions(None, HOUR)
    for after in (None, (utc_now() - HOUR, uuid_pk())):
        async with agentdb_database.begin_system(reason="test") as uow:
            plans = await plans_of(uow, sweep.change(uow, after, 10))
            plans += await plans_of(uow, sweep.count(uow, None))

        assert len(plans) == 2
        for plan in plans:
            plan.assert_uses_index("ix_status_subscriptions_pending")
            plan.assert_scans_nothing()
