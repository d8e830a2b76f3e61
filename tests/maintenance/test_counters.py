from __future__ import annotations

import asyncio
from datetime import date, timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from agentdb import Database
from agentdb.auth.counters import Totals
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import ValueOutOfRangeError
from agentdb.maintenance import Report, roll_up_usage
from agentdb.maintenance.counters import PastDays
from agentdb.models import TenantAccount, User
from agentdb.operations import delete_user
from agentdb.testing import Factory, backend_of, run_concurrently
from agentdb.testing.backends import connect_plainly
from agentdb.types import utc_now
from tests.plans import plans_of
from tests.worker.queue import until

DAYS = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31)]
MONTH = UsageCounterGranularity.MONTH
ALWAYS = (date(2000, 1, 1), date(2100, 1, 1))
NO_AGE = timedelta(0)


async def totals_by_month(database: Database) -> dict[tuple[UUID, UUID | None, date], Totals]:
    """Return what each user, and nobody, has consumed of each tenant in each month."""
    sums: dict[tuple[UUID, UUID | None, date], Totals] = {}
    async with database.read(reason="test") as uow:
        for row in await uow.usage_counters.all():
            key = (row.tenant_id, row.user_id, row.period_start.replace(day=1))
            held = (row.input_tokens, row.output_tokens, row.requests, row.storage_bytes)
            before = sums.get(key, Totals(0, 0, 0, 0))
            sums[key] = Totals(*(a + b for a, b in zip(before, held, strict=True)))
    return sums


async def test_days_become_months(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Those of each user and of nobody; present months are added to, and no total changes."""
    user = agentdb_make.tenant_user_membership().user_id
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        for owner in (user, None):
            for day in DAYS:
                await uow.usage_counters.increment(owner, day, requests=1, storage_bytes=2)
        await uow.usage_counters.increment(user, DAYS[2], granularity=MONTH, input_tokens=5)
    before = await totals_by_month(agentdb_database)
    dry = await roll_up_usage(agentdb_database, dry_run=True)

    assert dry == await roll_up_usage(agentdb_database, batch=3)
    assert dry == Report({"rolled_up": 8}, done=True)
    assert await roll_up_usage(agentdb_database) == Report({"rolled_up": 0}, done=True)
    assert await totals_by_month(agentdb_database) == before
    async with agentdb_database.read(tenant=tenant) as uow:
        rows = await uow.usage_counters.all()
        assert {(r.user_id, r.granularity, r.period_start.month) for r in rows} == {
            (owner, MONTH, month) for owner in (user, None) for month in (2, 3)
        }
        assert await uow.usage_counters.totals(*ALWAYS) == (5, 0, 8, 16)


async def test_days_of_a_month_that_goes_on_stay(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A month is old once it has ended so long ago, and goes as a whole."""
    first = utc_now().date().replace(day=1)
    agentdb_make.usage_counter(period_start=first, user_id=None)
    agentdb_make.usage_counter(period_start=first - timedelta(days=1), user_id=None)

    assert (await roll_up_usage(agentdb_database, older_than=timedelta(days=62))).counts == {
        "rolled_up": 0
    }
    assert (await roll_up_usage(agentdb_database, older_than=NO_AGE)).counts == {"rolled_up": 1}
    assert (await roll_up_usage(agentdb_database, older_than=NO_AGE)).counts == {"rolled_up": 0}


async def test_what_is_counted_later_is_rolled_up_later(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A day may come back, and goes again."""
    for expected in (1, 2):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await uow.usage_counters.increment(None, DAYS[0], requests=1)
        assert (await roll_up_usage(agentdb_database)).counts == {"rolled_up": 1}
        async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
            (row,) = await uow.usage_counters.all()
            assert (row.granularity, row.requests) == (MONTH, expected)


async def test_a_roll_up_for_a_tenant_leaves_the_others(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Only its own days go."""
    other = agentdb_make.tenant_account().id
    for tenant in (agentdb_make.tenant.id, other):
        agentdb_make.usage_counter(period_start=DAYS[0], user_id=None, tenant_id=tenant)
    mine = await roll_up_usage(agentdb_database, tenant_id=agentdb_make.tenant.id)

    assert mine.counts == {"rolled_up": 1}
    async with agentdb_database.read(tenant=other) as uow:
        (row,) = await uow.usage_counters.all()
        assert row.granularity == UsageCounterGranularity.DAY


async def test_a_month_beyond_the_column_is_refused(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """On both databases alike; nothing of the batch is lost."""
    for day in DAYS[:2]:
        agentdb_make.usage_counter(period_start=day, user_id=None, requests=2**62)
    before = await totals_by_month(agentdb_database)
    with pytest.raises(ValueOutOfRangeError):
        await roll_up_usage(agentdb_database)

    assert await totals_by_month(agentdb_database) == before


@pytest.mark.agentdb_commits
async def test_nothing_is_lost_while_others_count(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Ten callers count for past days, two roll up at the same time, batch by batch."""
    member = agentdb_make.tenant_user_membership()
    window = (DAYS[0].replace(day=1), date(2026, 4, 1))

    async def call(number: int) -> None:
        if number < 2:
            for _ in range(5):
                await roll_up_usage(agentdb_database, batch=2)
            return
        for turn in range(5):
            owner = member.user_id if (number + turn) % 2 else None
            async with agentdb_database.begin(tenant=member.tenant_id) as uow:
                await uow.usage_counters.increment(
                    owner, DAYS[turn % 4], requests=1, storage_bytes=3
                )

    outcomes = await run_concurrently(12, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=member.tenant_id) as uow:
        assert await uow.usage_counters.totals(*window) == (0, 0, 50, 150)
    await roll_up_usage(agentdb_database)
    async with agentdb_database.read(tenant=member.tenant_id) as uow:
        assert await uow.usage_counters.totals(*window) == (0, 0, 50, 150)
        assert await uow.usage_counters.count() == 4


@pytest.mark.agentdb_commits
async def test_users_are_deleted_while_their_days_are_rolled_up(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Neither waits for the other in a circle, and what they consumed stays."""
    members = [agentdb_make.tenant_user_membership(role="member") for _ in range(4)]
    tenant = members[0].tenant_id
    async with agentdb_database.begin(tenant=tenant) as uow:
        for member in members:
            for day in DAYS:
                await uow.usage_counters.increment(member.user_id, day, requests=1)

    async def call(number: int) -> None:
        if number >= len(members):
            await roll_up_usage(agentdb_database, batch=3)
            return
        async with agentdb_database.begin_system(reason="test") as uow:
            await delete_user(uow, members[number].user_id)

    outcomes = await run_concurrently(6, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        assert (await uow.usage_counters.totals(*ALWAYS)).requests == 16
        assert {row.user_id for row in await uow.usage_counters.all()} == {None}


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_roll_up_takes_no_days_of_users_whom_it_does_not_hold(
    agentdb_database: Database, agentdb_url: str, agentdb_make: Factory
) -> None:
    """While it waits for two users, whose days become one of nobody, another's day moves up."""
    *leaving, held = [agentdb_make.tenant_user_membership(role="member").user_id for _ in range(3)]
    for user in leaving:
        agentdb_make.usage_counter(user_id=user, period_start=DAYS[0])
    agentdb_make.usage_counter(user_id=held, period_start=DAYS[1])

    async with agentdb_database.begin_system(reason="test") as holder:
        await holder.session.execute(select(User.id).where(User.id == held).with_for_update())
        async with agentdb_database.begin_system(reason="test") as uow:
            for user in leaving:
                await delete_user(uow, user)
            process = await backend_of(uow)
            roll_up = asyncio.create_task(roll_up_usage(agentdb_database, batch=2))
            await until(partial(is_waited_for, agentdb_url, process))
        assert (await roll_up).counts == {"rolled_up": 1}
        await delete_user(holder, held)

    async with agentdb_database.read(reason="test") as reader:
        assert {row.user_id for row in await reader.usage_counters.all()} == {None}


async def is_waited_for(url: str, process: int) -> bool:
    """Whether another process of the server waits for a lock of this one."""
    query = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    with connect_plainly(url) as connection:
        return connection.execute(query, [process]).fetchone() is not None


SUM = st.integers(0, 2**50)
Counted: TypeAlias = tuple[int, date, UsageCounterGranularity, tuple[int, int, int, int]]
COUNTED: st.SearchStrategy[Counted] = st.tuples(
    st.integers(0, 2),
    st.dates(date(2025, 11, 1), date(2026, 2, 28)),
    st.sampled_from(UsageCounterGranularity),
    st.tuples(SUM, SUM, SUM, st.integers(-(2**40), 2**50)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(counted=st.lists(COUNTED, max_size=12), batch=st.integers(1, 5))
async def test_no_total_changes_by_a_roll_up(
    agentdb_database: Database, agentdb_make: Factory, counted: list[Counted], batch: int
) -> None:
    """Whatever was counted: for each user and nobody, in each month."""
    made = [agentdb_make.tenant_user_membership().user_id for _ in range(2)]
    owners: list[UUID | None] = [None, *made]
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        for number, day, granularity, (tokens_in, tokens_out, requests, stored) in counted:
            await uow.usage_counters.increment(
                owners[number],
                day.replace(day=1) if granularity == MONTH else day,
                granularity=granularity,
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                requests=requests,
                storage_bytes=stored,
            )
    before = await totals_by_month(agentdb_database)
    dry = await roll_up_usage(agentdb_database, dry_run=True)

    assert await roll_up_usage(agentdb_database, batch=batch) == dry
    assert await totals_by_month(agentdb_database) == before
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        rows = await uow.usage_counters.all()
        assert all(row.granularity == MONTH for row in rows)
        for row in rows:
            await uow.usage_counters.delete(row.id)


@pytest.mark.agentdb_plans
async def test_a_roll_up_follows_its_index(agentdb_database: Database) -> None:
    """No batch reads a table from end to end, the dry run neither."""
    sweep = PastDays(None, NO_AGE)
    for after in (None, (date(2026, 1, 1), uuid4())):
        async with agentdb_database.begin_system(reason="test") as uow:
            plans = await plans_of(uow, sweep.change(uow, after, 10))
            plans += await plans_of(uow, sweep.count(uow, None))

        assert len(plans) >= 2
        for plan in plans:
            plan.assert_uses_index("ix_usage_counters_day")
            plan.assert_scans_nothing()
