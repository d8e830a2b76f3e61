from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import aiosqlite
import psycopg
import pytest
from sqlalchemy import func, insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidValueError,
    MultipleRowsError,
    NotFoundError,
    TenantRequiredError,
    TransientError,
)
from agentdb.models import (
    ActivityEvent,
    AgentContainer,
    BillingPlan,
    PlanFeature,
    TenantAccount,
)
from agentdb.settings import Settings
from agentdb.testing import capture_statements
from tests.rows import Rows, row_of


def plan(code: str, **values: Any) -> BillingPlan:
    """Return a plan that is not stored."""
    fields: dict[str, Any] = {"name": f"Plan {code}", "price_cents": 100, **values}
    return BillingPlan(code=code, **fields)


async def stored(unit: UnitOfWork, *codes: str, **values: Any) -> list[BillingPlan]:
    """Return stored plans, one for each code."""
    plans = [plan(code, **values) for code in codes]
    await unit.billing_plans.add_many(plans)
    return plans


async def test_a_row_is_found_by_its_key(system: UnitOfWork) -> None:
    """Get returns the row, the same object for the same row, and None where there is none."""
    (row,) = await stored(system, "a")

    assert row is await system.billing_plans.get(row.id)
    assert await system.billing_plans.get(uuid4()) is None


async def test_a_composite_key_is_a_tuple_in_key_order(system: UnitOfWork, parents: Rows) -> None:
    """The rows of link tables are found by all columns of their key; fewer are refused."""
    link: AgentContainer = parents["agent_containers"]
    key = (link.agent_key, link.container_id, link.tenant_id)

    assert link is await system.agent_containers.get(key)
    assert {key: link} == await system.agent_containers.get_many([key, key])
    with pytest.raises(InvalidValueError, match="other columns"):
        await system.agent_containers.get((link.agent_key, link.container_id))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_require_raises_where_get_returns_none(system: UnitOfWork) -> None:
    """An unknown key is a NotFoundError that names the table."""
    (row,) = await stored(system, "a")

    assert row is await system.billing_plans.require(row.id)
    with pytest.raises(NotFoundError, match="billing_plans"):
        await system.billing_plans.require(uuid4())


async def test_what_a_statement_wrote_past_the_session_is_read(system: UnitOfWork) -> None:
    """A row that was loaded before is brought up to date by every read."""
    (row,) = await stored(system, "a")
    await system.session.execute(
        update(BillingPlan).values(name="renamed"), execution_options={"synchronize_session": False}
    )

    assert (await system.billing_plans.require(row.id)).name == "renamed"
    assert row.name == "renamed"


@pytest.mark.parametrize("autoflush", [True, False])
async def test_reading_keeps_what_a_host_has_changed_and_not_flushed(
    agentdb_database: Database, autoflush: bool
) -> None:
    """Whatever the host's session does by itself, a read never overwrites pending changes."""
    async with AsyncSession(agentdb_database.engine, autoflush=autoflush) as session:
        unit = UnitOfWork(session, system="a host's session")
        (row,) = await stored(unit, "a")
        row.name = "changed"
        await unit.billing_plans.all()
        await unit.billing_plans.get(row.id)

        assert row.name == "changed"
        assert await unit.billing_plans.exists(BillingPlan.name == "changed")


async def test_many_rows_are_found_in_few_statements(
    agentdb_database: Database, system: UnitOfWork
) -> None:
    """12,000 keys, most unknown and some twice, take three statements on both databases."""
    rows = await stored(system, *"abc")
    known = [row.id for row in rows]
    unknown = [uuid4() for _ in range(12_000)]
    with capture_statements(agentdb_database) as sent:
        found = await system.billing_plans.get_many([*known, *unknown, *known])

    assert {row.id: row for row in rows} == found
    assert len(sent) == 3
    assert await system.billing_plans.get_many([]) == {}


async def test_find_returns_the_first_row_by_key(system: UnitOfWork) -> None:
    """Of several rows that match, find returns the one with the lowest key; of none, None."""
    rows = await stored(system, *"abc")

    assert min(rows, key=lambda row: row.id) is await system.billing_plans.find(
        BillingPlan.code.in_([*"abc"])
    )
    assert await system.billing_plans.find(BillingPlan.code == "unknown") is None


async def test_one_expects_exactly_one_row(system: UnitOfWork) -> None:
    """None is a NotFoundError and several are a MultipleRowsError, which name the table."""
    first, _ = await stored(system, "a", "b")

    assert first is await system.billing_plans.one(BillingPlan.code == "a")
    with pytest.raises(NotFoundError, match="billing_plans"):
        await system.billing_plans.one(BillingPlan.code == "unknown")
    with pytest.raises(MultipleRowsError, match="billing_plans"):
        await system.billing_plans.one()


async def test_all_rows_come_in_the_order_asked_for(system: UnitOfWork) -> None:
    """All sorts by the columns given and then by key, and stops at the limit."""
    rows = [plan(code, price_cents=price) for code, price in zip("abcd", (3, 1, 2, 1), strict=True)]
    await system.billing_plans.add_many(rows)
    by_key = sorted(rows, key=lambda row: row.id)
    by_price = sorted(rows, key=lambda row: (row.price_cents, row.id))

    assert by_key == await system.billing_plans.all()
    assert by_price == await system.billing_plans.all(order=[BillingPlan.price_cents])
    descending = await system.billing_plans.all(order=[BillingPlan.price_cents.desc()])
    assert by_price[::-1] == descending
    assert by_key[:2] == await system.billing_plans.all(limit=2)
    assert await system.billing_plans.all(limit=0) == []


@pytest.mark.parametrize("limit", [-1, 1.5, True, "10"])
async def test_a_limit_is_a_whole_number(system: UnitOfWork, limit: Any) -> None:
    """Anything else is refused before SQL."""
    with pytest.raises(InvalidValueError, match="whole number"):
        await system.billing_plans.all(limit=limit)


async def test_an_order_names_columns_of_the_table_in_one_direction(system: UnitOfWork) -> None:
    """Foreign columns, JSON, mixed directions and a later column that may be NULL are refused."""
    orders: list[list[Any]] = [
        [PlanFeature.id],
        [BillingPlan.code.asc(), BillingPlan.name.desc()],
        [BillingPlan.feature_toggles],
        [BillingPlan.code, BillingPlan.trial_days],
        [func.lower(BillingPlan.code)],
        [text("code")],
        ["code"],
    ]
    for order in orders:
        with pytest.raises(InvalidValueError):
            await system.billing_plans.page(order=order)
        with pytest.raises(InvalidValueError):
            await system.billing_plans.all(order=order)


async def test_rows_are_counted_and_looked_for(
    agentdb_database: Database, system: UnitOfWork
) -> None:
    """Count and exists read no row: one number, and one key at the most."""
    await stored(system, *"abc")
    with capture_statements(agentdb_database) as sent:
        assert await system.billing_plans.count() == 3
        assert await system.billing_plans.count(BillingPlan.code == "a") == 1
        assert await system.billing_plans.count(BillingPlan.code == "unknown") == 0
        assert await system.billing_plans.exists(BillingPlan.code == "b")
        assert not await system.billing_plans.exists(BillingPlan.code == "unknown")

    assert len(sent) == 5
    assert all("billing_plans.name" not in statement for statement in sent)


async def test_a_value_too_long_for_its_column_matches_nothing(system: UnitOfWork) -> None:
    """A filter is no validation: what no row can hold is in no row."""
    await stored(system, "a")

    assert await system.billing_plans.find(BillingPlan.code == "x" * 1000) is None
    assert not await system.billing_plans.exists(BillingPlan.code.in_(["x" * 1000]))
    assert await system.billing_plans.count(BillingPlan.code != "x" * 1000) == 1


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that fills with how many rows each fetch asked for."""
    sizes: list[int] = []
    kinds: tuple[Any, ...] = (psycopg.AsyncServerCursor, aiosqlite.Cursor)
    for kind in kinds:
        original = kind.fetchmany

        async def fetch(self: Any, size: int = 0, original: Any = original) -> Any:
            sizes.append(size)
            return await original(self, size)

        monkeypatch.setattr(kind, "fetchmany", fetch)
    return sizes


async def test_a_stream_holds_one_batch_at_a_time(
    system: UnitOfWork, parents: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 rows come in key order, in as many fetches as there are batches, and are let go."""
    tenant: TenantAccount = parents["tenant_accounts"]
    rows = [
        {"id": uuid4(), "tenant_id": tenant.id, "action": "streamed", "status": "success"}
        for _ in range(2_000)
    ]
    await system.session.execute(insert(ActivityEvent), rows)
    before = len(system.session.sync_session.identity_map)
    fetches = counted(monkeypatch)
    keys: list[UUID] = []
    most = 0
    async for row in system.activity_events.stream(ActivityEvent.action == "streamed", batch=100):
        keys.append(row.id)
        most = max(most, len(system.session.sync_session.identity_map) - before)

    assert sorted(keys) == keys
    assert {values["id"] for values in rows} == set(keys)
    assert [1, 99, *[100] * 20] == fetches
    assert most <= 200


async def test_a_stream_may_be_left_early(system: UnitOfWork, parents: Rows) -> None:
    """After a break the unit goes on, and writes."""
    tenant: TenantAccount = parents["tenant_accounts"]
    for n in range(5):
        await system.containers.add(row_of("containers", f"s{n}", parents))
    async for row in system.containers.stream(batch=1):
        assert tenant.id == row.tenant_id
        break

    assert await system.containers.count() == 6
    await stored(system, "after")


@pytest.mark.parametrize("batch", [0, -1, 1.5, True])
async def test_a_batch_has_a_row_or_more(system: UnitOfWork, batch: Any) -> None:
    """Anything else is refused before SQL."""
    with pytest.raises(InvalidValueError, match="batch"):
        [_ async for _ in system.billing_plans.stream(batch=batch)]


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_locked_row_is_not_changed_by_others(agentdb_url: str) -> None:
    """Until the unit ends, others wait for the row; rows that refer to it can be added."""
    async with Database(agentdb_url, settings=Settings(lock_timeout=0.1)) as database:
        async with database.begin_system(reason="test") as unit:
            (row,) = await stored(unit, "a")
        async with database.begin_system(reason="test") as holder:
            assert await holder.billing_plans.get(row.id, lock=True) is not None

            async with database.begin_system(reason="test") as other:
                await other.plan_features.add(PlanFeature(plan_id=row.id, feature_key="f"))
            with pytest.raises(TransientError):
                async with database.begin_system(reason="test") as other:
                    await other.billing_plans.update(row.id, name="changed")
            with pytest.raises(TransientError):
                async with database.begin_system(reason="test") as other:
                    await other.billing_plans.require(row.id, lock=True)


async def test_locking_a_row_returns_it(system: UnitOfWork) -> None:
    """``lock=True`` changes nothing of what is read, on both databases."""
    (row,) = await stored(system, "a")

    assert row is await system.billing_plans.get(row.id, lock=True)
    assert row is await system.billing_plans.require(row.id, lock=True)
    assert await system.billing_plans.get(uuid4(), lock=True) is None


async def test_a_unit_without_a_tenant_reads_nothing(agentdb_session: AsyncSession) -> None:
    """Every verb that reads raises, and no SQL is sent."""
    unit = UnitOfWork(agentdb_session)
    engine: Any = agentdb_session.bind
    containers = unit.containers
    with capture_statements(engine) as sent:
        calls = [
            containers.get(uuid4()),
            containers.get_many([uuid4()]),
            containers.find(),
            containers.require(uuid4()),
            containers.one(),
            containers.all(),
            containers.count(),
            containers.exists(),
            containers.page(),
            anext(aiter(containers.stream())),
        ]
        for call in calls:
            with pytest.raises(TenantRequiredError):
                await asyncio.ensure_future(call)

    assert [statement for statement in sent if "containers" in statement] == []
