"""A command of the driver's own that was cut off, and the connection that it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from agentdb.database import Database
from agentdb.errors import UnavailableError
from agentdb.settings import Settings


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_connection_with_an_unfinished_command_is_replaced(agentdb_url: str) -> None:
    """The unit that broke off fails as after a lost connection, and the next one has another."""
    async with Database(agentdb_url, settings=Settings(pool_size=1, max_overflow=0)) as database:
        with pytest.raises(UnavailableError):
            async with database.begin_system(reason="leave a command") as unit:
                connection = await unit.session.connection()
                driver: Any = (await connection.get_raw_connection()).driver_connection
                driver.pgconn.send_query(b"SELECT 1")
                raise LookupError

        async with database.begin_system(reason="go on") as unit:
            assert await unit.tenant_accounts.count() == 0
