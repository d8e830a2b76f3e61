"""Units of different tenants, one after the other on one pooled connection, ended in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.database import Database
from agentdb.settings import Settings
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS, table_of
from tests.tenancy.fuzz import statements, texts
from tests.tenancy.fuzz.arena import Arena, Stored
from tests.tenancy.fuzz.barriers import OWNED
from tests.tenancy.fuzz.contents import stored_key
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import TENANTS
from tests.tenancy.fuzz.sides import FAILURES, Side
from tests.tenancy.fuzz.steps import Step

ONE = Settings(pool_size=1, max_overflow=0)
"""A pool of one connection, so that each unit takes over what the one before has left."""


class _BrokenOffError(Exception):
    """Ends a unit in the middle."""


End = Callable[[Database, UUID, list[Step]], Awaitable[None]]


async def _run(unit: UnitOfWork, steps: list[Step]) -> None:
    side = Side(unit.session, unit)
    for step in steps:
        with suppress(*FAILURES):
            async with unit.session.begin_nested():
                await step.call(side)


async def _broken_off(database: Database, tenant: UUID, steps: list[Step]) -> None:
    with suppress(_BrokenOffError):
        async with database.begin(tenant=tenant) as unit:
            await _run(unit, steps)
            raise _BrokenOffError


async def _failed(database: Database, tenant: UUID, steps: list[Step]) -> None:
    """Leave a transaction that the server has given up."""
    with suppress(*FAILURES):
        async with database.begin(tenant=tenant) as unit:
            await _run(unit, steps)
            connection = await unit.session.connection()
            await connection.exec_driver_sql("SELECT nothing FROM nowhere")


async def _read(database: Database, tenant: UUID, steps: list[Step]) -> None:
    async with database.read(tenant=tenant) as unit:
        await _run(unit, [step for step in steps if not step.writes])


async def _committed(database: Database, tenant: UUID, steps: list[Step]) -> None:
    async def work(unit: UnitOfWork) -> None:
        await _run(unit, [step for step in steps if not step.writes])

    await database.run(work, tenant=tenant)


def _cancelled(delay: float) -> End:
    async def end(database: Database, tenant: UUID, steps: list[Step]) -> None:
        task = asyncio.create_task(_broken_off(database, tenant, steps))
        await asyncio.wait([task], timeout=delay)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return end


async def disturb(database: Database, draw: Draw) -> None:
    """Run a unit of random statements and end it in a random way; nothing it writes stays."""
    kinds = [statements.read, statements.write]
    if database.url.get_backend_name() == "postgresql":
        kinds += [texts.read, texts.write]
    steps = [draw.among(kinds)(draw) for _ in range(draw.among([1, 2, 3]))]
    endings: list[End] = [_broken_off, _failed, _read, _committed]
    endings += [_cancelled(draw.rng.uniform(0, 0.02))] * 3
    own = draw.population.tenants[draw.tenant]
    await draw.among(endings)(database, own, steps)


async def seen(database: Database, arena: Arena, tenant: str, table: str) -> set[tuple[str, str]]:
    """Return the keys of the rows of a table that a unit of a tenant sees.

    On PostgreSQL they are asked for past the session.
    """
    async with database.begin(tenant=arena.population.tenants[tenant]) as unit:
        if unit.is_postgresql:
            keys = ", ".join(column.name for column in table_of(MODELS[table]).primary_key)
            connection = await unit.session.connection()
            sql = f"SELECT concat_ws('/', {keys}) FROM {table}"
            return {(table, key) for (key,) in await connection.exec_driver_sql(sql)}
        rows: Any = (await unit.session.execute(select(MODELS[table]))).scalars()
        return {(table, stored_key(row, "sqlite")) for row in rows}


async def seen_by_nobody(database: Database, table: str) -> int:
    """Return how many rows of a table are seen past any unit and its BEGIN."""
    async with database.engine.connect() as connection:
        # Of the driver itself: ours would say at BEGIN that there is no tenant.
        driver: Any = (await connection.get_raw_connection()).driver_connection
        found = await (await driver.execute(f"SELECT count(*) FROM {table}")).fetchone()
        await driver.rollback()
        return int(found[0])


async def strays(stored: Stored, arena: Arena, units: int) -> list[str]:
    """Run units of random tenants one after the other; return where one saw what is not its own."""
    roles = stored.roles
    url, platform = (stored.shared, None) if roles is None else (roles.app, roles.platform)
    wrong: list[str] = []
    async with Database(url, platform_url=platform, settings=ONE) as database:
        for number in range(units):
            rng = Random(f"pool/{number}")  # noqa: S311 -- repeatable, not secret
            before, after = rng.choices(TENANTS, k=2)
            await disturb(database, Draw(rng, arena, before))
            table = rng.choice(OWNED)
            if roles is not None and await seen_by_nobody(database, table):
                wrong.append(f"pool/{number}: nobody after {before} in {table}")
            expected = {key for key in stored.owned[after] if key[0] == table}
            if await seen(database, arena, after, table) != expected:
                wrong.append(f"pool/{number}: {after} after {before} in {table}")
    return wrong
