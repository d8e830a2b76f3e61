from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.auth.counters import Totals
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import InvalidValueError, NotFoundError, ValueOutOfRangeError
from agentdb.models import TenantAccount, User
from agentdb.testing import Factory, Queries, run_concurrently
from tests.plans import plans_of

DAY = date(2026, 3, 2)
MONTH = UsageCounterGranularity.MONTH


async def test_a_counter_begins_and_adds_up(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """One row for each user and period, and one for nobody in particular."""
    user = agentdb_make.tenant_user_membership().user_id
    increment = agentdb_uow.usage_counters.increment
    for owner in (user, None, user, None):
        row = await increment(owner, DAY, input_tokens=2, output_tokens=1, requests=1)
        assert row.user_id == owner
    await increment(user, date(2026, 3, 1), granularity=MONTH, requests=5)
    rows = await agentdb_uow.usage_counters.all()

    assert {(r.user_id, r.granularity, r.input_tokens, r.requests) for r in rows} == {
        (user, "day", 4, 2),
        (None, "day", 4, 2),
        (user, "month", 0, 5),
    }


async def test_stored_bytes_fall_not_below_zero(agentdb_uow: UnitOfWork) -> None:
    """They are a level; a fall of a new counter is none."""
    increment = agentdb_uow.usage_counters.increment
    levels = [
        (await increment(None, DAY, storage_bytes=change)).storage_bytes
        for change in (-5, 10, -3, -20, 2**40)
    ]

    assert levels == [0, 10, 7, 0, 2**40]


@pytest.mark.parametrize(
    "values",
    [{"requests": -1}, {"input_tokens": True}, {"output_tokens": 1.5}, {"storage_bytes": "1"}],
)
async def test_what_is_no_number_from_0_is_refused(
    agentdb_uow: UnitOfWork, values: dict[str, Any]
) -> None:
    """Nothing is counted, and the unit goes on."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.usage_counters.increment(None, DAY, **values)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.usage_counters.increment(None, DAY, granularity=MONTH, requests=1)

    assert await agentdb_uow.usage_counters.count() == 0


async def test_a_sum_beyond_the_column_is_refused(agentdb_uow: UnitOfWork) -> None:
    """On both databases alike; the counter stays as it was."""
    increment = agentdb_uow.usage_counters.increment
    row = await increment(None, DAY, requests=2**63 - 1)
    with pytest.raises(ValueOutOfRangeError):
        await increment(None, DAY, requests=1)
    with pytest.raises(ValueOutOfRangeError):
        await increment(None, DAY, requests=2**63)
    found = await agentdb_uow.usage_counters.require(row.id)

    assert found.requests == 2**63 - 1


async def test_a_stranger_has_no_counter(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """Neither somebody who does not exist nor somebody who is no member of the tenant."""
    async with agentdb_database.begin_system(reason="test") as uow:
        stranger = await uow.users.add(User(email=f"{uuid4().hex}@example.com", password_hash="x"))
    for user in (stranger.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.usage_counters.increment(user, DAY, requests=1)

    assert await agentdb_uow.usage_counters.count() == 0


async def test_totals_are_of_the_periods_that_start_in_the_window(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The first day is in it, the last is not; days, months, all users and nobody count."""
    user, other = (agentdb_make.tenant_user_membership().user_id for _ in range(2))
    increment, totals = agentdb_uow.usage_counters.increment, agentdb_uow.usage_counters.totals
    first = date(2026, 3, 1)
    await increment(user, first, granularity=MONTH, input_tokens=1, storage_bytes=100)
    await increment(None, first, output_tokens=10)
    await increment(other, date(2026, 3, 31), requests=1000, storage_bytes=5)
    await increment(user, date(2026, 4, 1), input_tokens=7)

    assert await totals(first, date(2026, 4, 1)) == (1, 10, 1000, 105)
    assert await totals(first, date(2026, 4, 1), user_id=user) == Totals(1, 0, 0, 100)
    assert await totals(date(2026, 3, 2), date(2026, 4, 2)) == (7, 0, 1000, 5)
    assert await totals(first, first) == (0, 0, 0, 0)


async def test_a_system_unit_adds_up_one_tenant_or_all(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """What others consumed is not a tenant's."""
    tenants = [agentdb_make.tenant_account().id for _ in range(2)]
    window = (DAY, date(2026, 3, 3))
    async with agentdb_database.begin_system(reason="test") as uow:
        for tenant in tenants:
            await uow.usage_counters.increment(None, DAY, requests=2, tenant_id=tenant)
        assert (await uow.usage_counters.totals(*window)).requests == 4
        assert (await uow.usage_counters.totals(*window, tenant_id=tenants[0])).requests == 2
    async with agentdb_database.read(tenant=tenants[1]) as uow:
        assert (await uow.usage_counters.totals(*window)).requests == 2


async def test_totals_have_no_instants_for_ends(agentdb_uow: UnitOfWork) -> None:
    """A day is no instant: which one would depend on a time zone."""
    instant: Any = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.usage_counters.totals(instant, DAY)


async def test_counters_are_found_by_each_filter(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Newest period first, and in pages each once, though several are of one period."""
    users = [None, *(agentdb_make.tenant_user_membership().user_id for _ in range(3))]
    for owner in users:
        await agentdb_uow.usage_counters.increment(owner, date(2026, 3, 1), granularity=MONTH)
        await agentdb_uow.usage_counters.increment(owner, date(2026, 3, 1))
    later = await agentdb_uow.usage_counters.increment(users[1], DAY)
    search = agentdb_uow.usage_counters.search
    first = await search(limit=5)
    rest = await search(limit=5, after=first.next_cursor)
    found = [*first, *rest]

    assert found[0] is later
    assert found[1:] == sorted(found[1:], key=lambda row: row.id, reverse=True)
    assert len({row.id for row in found}) == 9
    assert rest.next_cursor is None
    assert {row.user_id for row in await search(granularity=MONTH)} == set(users)
    assert [row.granularity for row in await search(granularity=MONTH)] == [MONTH] * 4
    assert {row.user_id for row in await search(user_id=users[1])} == {users[1]}


@pytest.mark.agentdb_plans
async def test_totals_and_pages_are_read_by_an_index(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries, agentdb_make: Factory
) -> None:
    """In one statement, which reads no table in full."""
    user = agentdb_make.tenant_user_membership().user_id
    counters = agentdb_uow.usage_counters
    with agentdb_queries(max=1):
        await counters.totals(DAY, DAY)
    reads = [counters.totals(DAY, DAY), counters.totals(DAY, DAY, user_id=user)]
    for read in [*reads, counters.search(), counters.search(granularity=MONTH)]:
        for plan in await plans_of(agentdb_uow, read):
            plan.assert_scans_nothing()


@pytest.mark.agentdb_commits
async def test_fifty_increments_leave_one_row_with_exact_sums(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Ten callers, five times each, the first ones at once."""

    async def call(_: int) -> set[UUID]:
        rows: set[UUID] = set()
        for _ in range(5):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                row = await uow.usage_counters.increment(None, DAY, requests=1, input_tokens=3)
                rows.add(row.id)
        return rows

    outcomes = await run_concurrently(10, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len(set[UUID]().union(*outcomes.results)) == 1
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.usage_counters.all()
        assert (row.requests, row.input_tokens) == (50, 150)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.integers(-(2**40), 2**40), max_size=6), day=st.dates(date(2000, 1, 1)))
async def test_a_level_is_what_remains_of_its_changes(
    agentdb_database: Database, agentdb_tenant: TenantAccount, changes: list[int], day: date
) -> None:
    """Each change moves it, and it never was below 0."""
    level = 0
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await uow.usage_counters.increment(None, day)
        (row,) = await uow.usage_counters.all(uow.usage_counters.model.period_start == day)
        await uow.usage_counters.update(row.id, storage_bytes=0)
        for change in changes:
            level = max(level + change, 0)
            found = await uow.usage_counters.increment(None, day, storage_bytes=change)
            assert found.storage_bytes == level
