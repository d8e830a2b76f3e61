"""Units of a database: their connection, and the session that joins it when it is asked for."""

from __future__ import annotations

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import AgentDBError
from agentdb.models import TenantAccount

pytestmark = pytest.mark.agentdb_commits


@pytest.fixture(autouse=True)
async def chat(agentdb_database: Database, agentdb_tenant: TenantAccount) -> None:
    """A conversation with a first message."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await unit.agent_conversations.get_or_create("chat", "triage")
        await append(unit)


async def append(unit: UnitOfWork) -> None:
    """Write without a session."""
    message = [NewMessage(role="user", content="Hello")]
    await unit.agent_messages.append("chat", message)


async def counted(database: Database, tenant: TenantAccount) -> int:
    """Return how many messages were committed behind the first."""
    async with database.begin(tenant=tenant.id) as unit:
        return await unit.agent_messages.count() - 1


async def test_a_hot_verb_makes_no_session(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """It commits without one, and a unit that fails leaves nothing."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await append(unit)
        assert unit.used_session is None
    with pytest.raises(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
            await append(unit)
            raise ZeroDivisionError

    assert await counted(agentdb_database, agentdb_tenant) == 1


async def test_the_session_ends_what_was_sent_without_it(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Its ROLLBACK and COMMIT are the unit's; what follows has a transaction of its own."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await append(unit)
        await unit.session.rollback()
        await append(unit)
        await unit.session.commit()
        await append(unit)
        await unit.session.rollback()
        await append(unit)
        await unit.session.rollback()
        await append(unit)

    assert await counted(agentdb_database, agentdb_tenant) == 2


async def test_a_session_that_is_asked_for_last_commits_what_was_sent(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Also where it has nothing to do itself."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await append(unit)
        assert unit.session.in_transaction()

    assert await counted(agentdb_database, agentdb_tenant) == 1


@pytest.mark.parametrize("used", [False, True])
async def test_a_unit_ends_with_its_block(
    agentdb_database: Database, agentdb_tenant: TenantAccount, used: bool
) -> None:
    """Behind it nothing begins a transaction that nobody would commit."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await append(unit)
        if used:
            await unit.agent_messages.count()

    with pytest.raises(AgentDBError):
        await unit.agent_messages.count()
    with pytest.raises(AgentDBError):
        await append(unit)
    assert await counted(agentdb_database, agentdb_tenant) == 1
