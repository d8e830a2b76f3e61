"""BEGIN that goes with the first statement of a unit, on PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import bindparam, select, text

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import AgentDBError, InvalidValueError
from agentdb.models import TenantAccount
from agentdb.tenancy.policies import SETTING
from agentdb.testing import FaultProxy
from agentdb.types import Uuid
from tests.trips import trips_through

pytestmark = [pytest.mark.agentdb_only("postgres"), pytest.mark.agentdb_commits]

KEY = select(bindparam("key", type_=Uuid()))
LACKING = text("SELECT lacking FROM agent_messages")
TOLD = text(f"SELECT current_setting('{SETTING}')")


def settings(**changes: Any) -> Settings:
    """A pool of one connection, so that units follow each other on it."""
    return Settings(pool_size=1, max_overflow=0, **changes)


async def told(unit: UnitOfWork) -> str:
    """Return the tenant that the server knows."""
    answer: str = (await unit.session.execute(TOLD)).scalar_one()
    return answer


async def status(unit: UnitOfWork) -> str:
    """Return what the driver knows of the transaction."""
    connection = await (await unit.session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    return str(driver.info.transaction_status.name)


async def test_a_unit_that_sends_nothing_costs_no_round_trip(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """Neither BEGIN nor COMMIT; the first statement takes BEGIN along."""
    with FaultProxy(agentdb_url) as proxy, trips_through(proxy) as trips:
        async with Database(proxy.url, settings=settings()) as database:
            async with database.begin(tenant=agentdb_tenant.id):
                pass
            connected = trips.count
            async with database.begin(tenant=agentdb_tenant.id):
                pass
            assert trips.count == connected

            async with database.begin(tenant=agentdb_tenant.id) as unit:
                await unit.send((KEY, {"key": uuid4()}))
                assert trips.count == connected + 1
            assert trips.count == connected + 2


@pytest.mark.parametrize("pooler", [None, "pgbouncer"])
async def test_the_tenant_is_told_whatever_is_sent_first(
    agentdb_url: str, agentdb_tenant: TenantAccount, pooler: Any
) -> None:
    """An ORM statement, one on the short way, a savepoint, or a look at the connection."""
    async with Database(agentdb_url, settings=settings(pooler=pooler)) as database:
        for first in range(4):
            async with database.begin(tenant=agentdb_tenant.id) as unit:
                if first == 0:
                    await unit.tenant_accounts.all()
                elif first == 1:
                    await unit.send((KEY, {"key": uuid4()}))
                elif first == 2:
                    async with unit.savepoint():
                        assert await told(unit) == str(agentdb_tenant.id)
                assert await status(unit) == "INTRANS"
                assert await told(unit) == str(agentdb_tenant.id)


async def test_what_waited_in_one_unit_is_not_sent_in_the_next(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """Of a unit that sent nothing, on the same connection."""
    async with Database(agentdb_url, settings=settings()) as database:
        with suppress(ZeroDivisionError):
            async with database.begin(tenant=agentdb_tenant.id):
                raise ZeroDivisionError
        async with database.begin_system(reason="test") as unit:
            assert await told(unit) == ""
        async with database.begin(tenant=agentdb_tenant.id):
            pass
        async with database.engine.begin() as connection:
            assert (await connection.execute(TOLD)).scalar_one() == ""


async def test_a_first_statement_that_fails_stands_in_a_transaction(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """What follows it is not stored by itself: the unit is rolled back."""
    async with Database(agentdb_url, settings=settings()) as database:
        with pytest.raises(AgentDBError, match="rolled back"):
            async with database.begin(tenant=agentdb_tenant.id) as unit:
                with suppress(AgentDBError):
                    await unit.send((LACKING, {}))


async def test_a_value_that_is_refused_first_leaves_begin_to_the_next(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """Nothing was sent: the next statement takes BEGIN along."""
    wrong: Any = "no UUID"
    key = UUID(int=7)
    async with (
        Database(agentdb_url, settings=settings()) as database,
        database.begin(tenant=agentdb_tenant.id) as unit,
    ):
        with pytest.raises(InvalidValueError):
            await unit.send((KEY, {"key": wrong}))
        assert await unit.send((KEY, {"key": key})) == [[(key,)]]
        assert await status(unit) == "INTRANS"
