"""Count use up by one, a transaction each, by eight clients: a row each, and all the same one.

Two counters: what a tenant consumes in a day, and what a subscription uses of a feature. The
baseline is one INSERT … ON CONFLICT between BEGIN and COMMIT, each sent by itself, so that the row
is locked while the client is on its way; beside it the same in one pipeline of the driver. What one
would use instead reads the row with FOR UPDATE, adds and writes; its rows are there before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from agentdb import Database
from agentdb.models import BillingPlan, TenantSubscription
from benchmarks.append_message import PIPELINED, SINGLE
from benchmarks.harness import (
    CLIENTS,
    Bench,
    Case,
    Goal,
    Raw,
    at_once,
    new_tenant,
    peer_cases,
    repeat,
)
from benchmarks.peers import advanced_alchemy
from benchmarks.peers.advanced_alchemy import AdvancedAlchemy

COUNTER = """
    INSERT INTO usage_counters
        (id, tenant_id, period_start, granularity, input_tokens, output_tokens, requests,
         storage_bytes, created_at, updated_at)
    VALUES (%s, %s, %s, 'day', 0, 0, 1, 0, clock_timestamp(), clock_timestamp())
    ON CONFLICT (tenant_id, period_start, granularity) WHERE user_id IS NULL
    DO UPDATE SET requests = usage_counters.requests + excluded.requests,
        updated_at = excluded.updated_at
    RETURNING *
"""
METER = """
    INSERT INTO subscription_usage
        (id, subscription_id, feature_key, unit, period_start, period_end, quantity, reported_at)
    SELECT %s, id, %s, 'units', %s, %s, 1, clock_timestamp()
    FROM tenant_subscriptions WHERE id = %s AND tenant_id = %s
    ON CONFLICT (subscription_id, feature_key, period_start)
    DO UPDATE SET quantity = subscription_usage.quantity + excluded.quantity,
        reported_at = excluded.reported_at
    RETURNING *
"""
DAY = date(2026, 1, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=31)

BASE, AA = "psycopg, one statement", "advanced-alchemy"
KINDS = ("a tenant's counter", "a metered feature")


def title(kind: str, *, spread: bool) -> str:
    """Return the title of a comparison."""
    return f"{kind}, eight clients, {'a row each' if spread else 'one row'}"


GOALS = tuple(
    Goal(title(kind, spread=spread), against, bound, SINGLE)
    for kind in KINDS
    for spread, near in ((True, 0.6), (False, 0.95))
    for against, bound in ((BASE, near), (AA, 10))
)

Increment = Callable[[int, int], Awaitable[object]]
"""A client counts a row up."""


async def raw_counter(raws: list[Raw], tenant: UUID, client: int, row: int) -> None:
    """Count the use of a tenant on the driver."""
    raw = raws[client]
    async with raw.transaction():
        cursor = await raw.execute(COUNTER, (uuid4(), tenant, DAY + timedelta(days=row)))
        await cursor.fetchall()


async def raw_pipelined(raws: list[Raw], count: Increment, client: int, row: int) -> None:
    """Count on the driver, in one round trip."""
    async with raws[client].pipeline():
        await count(client, row)


async def our_counter(
    database: Database, tenant: UUID, _client: int, row: int, *, single: bool = False
) -> None:
    """Count the use of a tenant by the verb."""
    async with database.begin(tenant=tenant, single=single) as uow:
        await uow.usage_counters.increment(None, DAY + timedelta(days=row), requests=1)


async def raw_meter(
    raws: list[Raw], tenant: UUID, subscription: UUID, client: int, row: int
) -> None:
    """Meter a feature on the driver."""
    raw = raws[client]
    values = (uuid4(), f"feature-{row}", START, START + MONTH, subscription, tenant)
    async with raw.transaction():
        await (await raw.execute(METER, values)).fetchall()


async def our_meter(
    database: Database,
    tenant: UUID,
    subscription: UUID,
    _client: int,
    row: int,
    *,
    single: bool = False,
) -> None:
    """Meter a feature by the verb."""
    async with database.begin(tenant=tenant, single=single) as uow:
        await uow.subscription_usage.increment(
            subscription, f"feature-{row}", 1, START, START + MONTH
        )


async def subscribe(database: Database, tenants: Sequence[UUID]) -> list[UUID]:
    """Return the ids of new subscriptions of some tenants to one plan."""
    async with database.begin_system(reason="benchmark") as uow:
        plan = await uow.billing_plans.add(
            BillingPlan(code="benchmark", name="Benchmark", price_cents=0)
        )
        made = [TenantSubscription(tenant_id=tenant, plan_id=plan.id) for tenant in tenants]
        await uow.tenant_subscriptions.add_many(made)
    return [subscription.id for subscription in made]


async def measure(bench: Bench) -> None:
    """Measure both counters, spread and on one row."""
    place = await bench.place()
    # Rows of the driver and of agentdb are of different tenants: neither waits for the other's.
    mine, other = [await new_tenant(place.database, name) for name in ("Ours", "Raw")]
    ours, theirs = await subscribe(place.database, [mine, other])
    raws = await place.connections()
    alchemy = await bench.open(AA, advanced_alchemy.opened(place.other()))
    ways = {
        KINDS[0]: (partial(raw_counter, raws, other), partial(our_counter, place.database, mine)),
        KINDS[1]: (
            partial(raw_meter, raws, other, theirs),
            partial(our_meter, place.database, mine, ours),
        ),
    }
    each = bench.size(40, 2)
    for kind, (raw, agentdb) in ways.items():
        for spread in (True, False):
            pipelined = partial(raw_pipelined, raws, raw)
            single = partial(agentdb, single=True)
            cases = [
                Case(BASE, partial(clients, each, raw, spread=spread), "baseline"),
                Case(PIPELINED, partial(clients, each, pipelined, spread=spread), "peer"),
                Case("agentdb", partial(clients, each, agentdb, spread=spread)),
                Case(SINGLE, partial(clients, each, single, spread=spread)),
                *peer_cases(AA, alchemy, increments, each, spread=spread),
            ]
            await bench.compare(title(kind, spread=spread), cases, unit="increments")


async def increments(peer: AdvancedAlchemy, each: int, *, spread: bool) -> int:
    """Let eight clients of the peer count up."""
    return await clients(each, peer.increment, spread=spread)


async def clients(each: int, increment: Increment, *, spread: bool) -> int:
    """Let eight clients count up, each a row of its own or all the first one."""

    async def client(number: int) -> int:
        return await repeat(each, partial(increment, number, number if spread else 0))

    return await at_once(range(CLIENTS), client)
