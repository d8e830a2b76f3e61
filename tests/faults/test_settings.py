"""Settings of the server and of the database, which a unit does not follow."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, make_url, select, text

from agentdb import Database, Settings
from agentdb.direct import Call
from agentdb.errors import (
    UnavailableError,
)
from agentdb.testing import backend_of
from tests.faults.activity import activity, run_statement
from tests.test_database import make

postgres = pytest.mark.agentdb_only("postgres")


@postgres
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("timezone", "Asia/Kathmandu"),
        ("statement_timeout", "1s"),
        ("datestyle", "German, DMY"),
    ],
)
async def test_settings_of_the_database_change_nothing(
    agentdb_url: str, setting: str, value: str
) -> None:
    """Each unit says itself what it needs, whatever the operator has set."""
    name = make_url(agentdb_url).database
    async with Database(agentdb_url) as database, database.begin_system(reason="test") as unit:
        await unit.session.execute(text(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'"))
    async with Database(agentdb_url) as database:
        async with database.begin_system(reason="test") as unit:
            row = await make(unit)
            assert await run_statement(unit, "SHOW transaction_isolation") == "read committed"
            assert await run_statement(unit, "SHOW transaction_read_only") == "off"
            assert await run_statement(unit, "SHOW statement_timeout") == "30s"
        async with database.read(reason="test") as unit:
            again = await unit.tenant_accounts.require(row.id)
            assert again.created_at == row.created_at
            assert await run_statement(unit, "SHOW transaction_isolation") == "repeatable read"
            assert await run_statement(unit, "SHOW transaction_read_only") == "on"


@postgres
async def test_limits_end_with_the_unit(agentdb_url: str) -> None:
    """The connection is given back as it was: nothing is set for the session."""
    settings = Settings(statement_timeout=7, pool_size=1)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    async with Database(agentdb_url, settings=settings) as database:
        async with database.begin(tenant=UUID(int=7)):
            pass
        async with database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.rollback()
            shown = [await (await raw.execute(f"SHOW {name}")).fetchone() for name in names]

    assert shown == [("0",), ("0",), ("0",)]


@postgres
async def test_an_idle_unit_is_ended_by_the_server(agentdb_url: str) -> None:
    """A unit that sits in its transaction too long holds its locks no longer."""
    async with Database(agentdb_url, settings=Settings(idle_timeout=0.01)) as database:
        process = 0
        with pytest.raises(UnavailableError):
            async with database.begin_system(reason="test") as unit:
                process = await backend_of(unit)
                for _ in range(1000):
                    if not any("idle in" in state for state, _ in await activity(agentdb_url)):
                        break
                await unit.tenant_accounts.count()
        async with database.begin_system(reason="test") as unit:
            assert await backend_of(unit) != process


@postgres
async def test_an_idle_unit_is_ended_after_a_pipeline_too(agentdb_url: str) -> None:
    """Where several statements went in one round trip, the server counts from their end."""
    call: Call = (select(func.pg_backend_pid()), {})

    async def idle() -> bool:
        return any("idle in" in state for state, _ in await activity(agentdb_url))

    async with Database(agentdb_url, settings=Settings(idle_timeout=0.3)) as database:
        with pytest.raises(UnavailableError):
            async with database.begin(tenant=UUID(int=7)) as unit:
                await unit.send(call, call)
                async with asyncio.timeout(30):
                    while await idle():  # noqa: ASYNC110 -- what is awaited is the server
                        await asyncio.sleep(0.01)
                await unit.send(call, call)
