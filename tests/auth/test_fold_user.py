from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import ValueOutOfRangeError
from agentdb.models import TenantAccount, UsageCounter
from agentdb.testing import Factory, Queries, run_concurrently

DAY = date(2026, 3, 1)
MONTH = UsageCounterGranularity.MONTH


def sums(rows: Sequence[UsageCounter]) -> dict[Any, tuple[int, ...]]:
    """Return the totals by tenant, period and granularity, over all users."""
    found: dict[Any, tuple[int, ...]] = {}
    for row in rows:
        key = (row.tenant_id, row.period_start, row.granularity)
        numbers = (row.input_tokens, row.output_tokens, row.requests, row.storage_bytes)
        found[key] = tuple(map(sum, zip(found.get(key, (0,) * 4), numbers, strict=True)))
    return found


async def test_counters_go_to_nobody_with_their_sums(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """In all tenants; beside counters of nobody, and without one; others keep theirs."""
    user, other = agentdb_make.user(), agentdb_make.user()
    elsewhere = agentdb_make.tenant_account()
    async with agentdb_database.begin_system(reason="test") as uow:
        counters = uow.usage_counters
        for tenant in (agentdb_tenant.id, elsewhere.id):
            for owner in (user.id, other.id, None):
                await counters.increment(
                    owner, DAY, requests=1, input_tokens=2, storage_bytes=3, tenant_id=tenant
                )
        await counters.increment(
            user.id, DAY, granularity=MONTH, output_tokens=5, tenant_id=elsewhere.id
        )
        before = await counters.all()
        nobody = next(r for r in before if r.user_id is None and r.tenant_id == elsewhere.id)
        expected = sums(before)
        folded = await counters.fold_user(user.id)

        assert folded == 3
        assert (nobody.requests, nobody.input_tokens, nobody.storage_bytes) == (2, 4, 6)
        rows = await counters.all()
        assert sums(rows) == expected
        assert {row.user_id for row in rows} == {other.id, None}
        assert await counters.fold_user(user.id) == 0


async def test_a_tenants_unit_folds_its_own_counters(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Those of other tenants stay with the user."""
    user = agentdb_make.user()
    elsewhere = agentdb_make.tenant_account()
    async with agentdb_database.begin_system(reason="test") as uow:
        for tenant in (agentdb_tenant.id, elsewhere.id):
            await uow.usage_counters.increment(user.id, DAY, requests=1, tenant_id=tenant)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        assert await uow.usage_counters.fold_user(user.id) == 1
    async with agentdb_database.begin_system(reason="test") as uow:
        rows = await uow.usage_counters.all()

    assert {row.tenant_id: row.user_id for row in rows} == {
        agentdb_tenant.id: None,
        elsewhere.id: user.id,
    }


async def test_a_sum_beyond_the_column_undoes_the_fold(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """On both databases alike; the user's counters are still there."""
    user = agentdb_make.user()
    counters = agentdb_uow.usage_counters
    await counters.increment(user.id, DAY, requests=2**63 - 1)
    await counters.increment(None, DAY, requests=1)
    with pytest.raises(ValueOutOfRangeError):
        await counters.fold_user(user.id)

    assert {row.user_id: row.requests for row in await counters.all()} == {
        user.id: 2**63 - 1,
        None: 1,
    }


async def test_many_counters_are_folded_in_few_statements(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Seven years of days take no statement a day."""
    user = agentdb_make.user()
    rows = [
        UsageCounter(
            tenant_id=agentdb_uow.scope.owner(None),
            user_id=user.id,
            period_start=DAY - timedelta(days=day),
            granularity=UsageCounterGranularity.DAY,
            requests=1,
        )
        for day in range(2_500)
    ]
    await agentdb_uow.usage_counters.add_many(rows)
    with agentdb_queries(max=5):
        assert await agentdb_uow.usage_counters.fold_user(user.id) == 2_500

    assert await agentdb_uow.usage_counters.count(UsageCounter.user_id.is_(None)) == 2_500


@pytest.mark.agentdb_commits
async def test_nothing_is_lost_that_is_counted_meanwhile(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Increments of a user and of nobody race with folds: the sums are exact."""
    user = agentdb_make.user()

    async def call(number: int) -> None:
        for _ in range(5):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                if number == 0:
                    await uow.usage_counters.fold_user(user.id)
                else:
                    owner: UUID | None = user.id if number % 2 else None
                    await uow.usage_counters.increment(owner, DAY, requests=1)

    outcomes = await run_concurrently(9, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await uow.usage_counters.fold_user(user.id)
        (row,) = await uow.usage_counters.all()
        assert (row.user_id, row.requests) == (None, 40)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counted=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2**40)), max_size=8
    )
)
async def test_no_total_changes(
    agentdb_database: Database,
    agentdb_make: Factory,
    agentdb_tenant: TenantAccount,
    counted: list[tuple[int, int, int]],
) -> None:
    """Whoever has counted what and when."""
    users = [agentdb_make.user().id, agentdb_make.user().id, None]
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for user, day, amount in counted:
            start = DAY + timedelta(days=day)
            await uow.usage_counters.increment(users[user], start, input_tokens=amount)
        before = sums(await uow.usage_counters.all())
        await uow.usage_counters.fold_user(users[0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- the first is a user
        rows = await uow.usage_counters.all()

        assert sums(rows) == before
        assert users[0] not in {row.user_id for row in rows}
