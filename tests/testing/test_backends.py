from __future__ import annotations

import pytest

from agentdb.database import Database
from agentdb.errors import NotFoundError, UnavailableError
from agentdb.testing import backend_of, kill_backend

pytestmark = pytest.mark.agentdb_only("postgres")


async def test_a_killed_backend_is_gone(agentdb_database: Database, agentdb_url: str) -> None:
    """When the call returns, its transaction is rolled back and its locks are free."""
    process = 0
    with pytest.raises(UnavailableError) as caught:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.create("Acme", "acme")
            process = await backend_of(unit)
            kill_backend(agentdb_url, process)
            await unit.tenant_accounts.count()

    assert caught.value.lost
    async with agentdb_database.begin_system(reason="test") as unit:
        assert await backend_of(unit.session) != process
        await unit.tenant_accounts.create("Acme", "acme")
    with pytest.raises(NotFoundError):
        kill_backend(agentdb_url, process)


async def test_a_connection_has_the_backend_of_its_session(agentdb_database: Database) -> None:
    """Whatever it is asked of."""
    async with agentdb_database.begin_system(reason="test") as unit:
        connection = await unit.session.connection()

        assert await backend_of(unit) == await backend_of(unit.session)
        assert await backend_of(unit) == await backend_of(connection)
