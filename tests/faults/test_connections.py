"""Connections that break, servers that only read, databases that are not there."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text

from agentdb import Database, Settings, pipelines, postgresql
from agentdb.errors import (
    UnavailableError,
)
from agentdb.testing import backend_of, kill_backend
from tests.test_database import make, slugs

postgres = pytest.mark.agentdb_only("postgres")


@postgres
@pytest.mark.parametrize("ping_after", [0.0, 60.0])
async def test_a_connection_that_broke_in_the_pool_is_replaced(
    agentdb_url: str, ping_after: float
) -> None:
    """Tested before use or not, the unit after a restart of the server notices nothing."""
    async with Database(agentdb_url, settings=Settings(ping_after=ping_after)) as database:
        async with database.begin_system(reason="test") as one, database.read(reason="t") as two:
            processes = {await backend_of(one), await backend_of(two)}
        for process in processes:
            kill_backend(agentdb_url, process)
        for _ in range(3):
            async with database.begin_system(reason="test") as unit:
                assert await backend_of(unit) not in processes


@postgres
async def test_a_connection_that_broke_in_the_pool_is_replaced_for_a_tenant(
    agentdb_url: str,
) -> None:
    """Its BEGIN waits for the first statement: the socket tells before that the server has gone."""
    async with Database(agentdb_url, settings=Settings(ping_after=60.0)) as database:
        async with database.begin_system(reason="test") as unit:
            process, tenant = await backend_of(unit), (await make(unit)).id
        kill_backend(agentdb_url, process)

        async with database.begin(tenant=tenant) as unit:
            await unit.usage_counters.increment(None, date(2026, 1, 1), requests=1)


@postgres
async def test_a_connection_that_breaks_in_a_unit_is_unavailable(agentdb_url: str) -> None:
    """The statement raises, the pool drops the connection and the next unit has another."""
    async with Database(agentdb_url) as database:
        process = 0
        with pytest.raises(UnavailableError) as caught:
            async with database.begin_system(reason="test") as unit:
                process = await backend_of(unit)
                await make(unit)
                kill_backend(agentdb_url, process)
                await unit.tenant_accounts.count()

        assert caught.value.lost
        assert await slugs(database) == set()
        async with database.begin_system(reason="test") as unit:
            assert await backend_of(unit) != process


@postgres
@pytest.mark.parametrize("state", ["0A000", "25006"])
@pytest.mark.parametrize(("pooler", "single"), [(None, False), ("pgbouncer", False), (None, True)])
async def test_a_server_that_only_reads_is_left(
    agentdb_url: str, monkeypatch: pytest.MonkeyPatch, state: str, pooler: Any, single: bool
) -> None:
    """After a failover to a standby each connection fails at most once, then it is made anew.

    That is so for BEGIN alone, as behind a pooler, for one that waits for a statement, and for one
    that goes with COMMIT as well: that was refused, too.
    """
    standby = False
    one_by_one, together = postgresql._send, pipelines.run_pipeline

    def send(connection: Any, script: str) -> None:
        # What a standby says to BEGIN READ WRITE; it says 25006 to a write.
        refusal = f"BEGIN; DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$"
        one_by_one(connection, refusal if standby else script)

    async def run(driver: Any, commands: Any) -> Any:
        if standby and commands[0].text.startswith("BEGIN"):
            raise psycopg.errors.lookup(state)
        return await together(driver, commands)

    monkeypatch.setattr(postgresql, "_send", send)
    monkeypatch.setattr(pipelines, "run_pipeline", run)
    async with Database(agentdb_url, settings=Settings(pooler=pooler)) as database:
        async with database.begin_system(reason="test") as unit:
            process = await backend_of(unit)
        standby = True
        with pytest.raises(UnavailableError, match="only reads") as caught:
            async with database.begin_system(reason="test", single=single) as unit:
                await unit.usage_counters.increment(None, date(2026, 1, 1), tenant_id=uuid4())
        standby = False
        async with database.begin_system(reason="test") as unit:
            assert await backend_of(unit) != process

    assert caught.value.lost


@postgres
async def test_a_write_that_a_standby_refuses_drops_its_connection(agentdb_url: str) -> None:
    """SQLSTATE 25006 outside a reading unit counts as a lost connection."""
    refusal = "DO $$ BEGIN RAISE 'no' USING ERRCODE = '25006'; END $$"
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        process = 0
        with pytest.raises(UnavailableError, match="only reads"):
            async with database.begin_system(reason="test") as unit:
                process = await backend_of(unit)
                await unit.session.execute(text(refusal))
        async with database.begin_system(reason="test") as unit:
            assert await backend_of(unit) != process


@postgres
async def test_a_database_that_does_not_exist_is_unavailable(agentdb_url: str) -> None:
    """At once, with no other connection tried and without the URL in the message."""
    url = make_url(agentdb_url).set(database="no_such_database", password="sk-canary")
    async with Database(url) as database:
        with pytest.raises(UnavailableError) as caught:
            async with database.begin_system(reason="test"):
                pass

    assert not caught.value.lost
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"


async def test_a_database_can_be_used_after_dispose(agentdb_url: str) -> None:
    """Dispose closes what is idle; the next unit connects anew."""
    async with Database(agentdb_url) as database:
        async with database.begin_system(reason="test") as unit:
            await make(unit)
        await database.dispose()
        assert await slugs(database) == {"acme"}
