from __future__ import annotations

import pytest

from agentdb import Database, UnitOfWork


@pytest.mark.agentdb_only("sqlite")
async def test_a_second_connection_opens_while_rows_are_read_from_the_first(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """SQLite replaces no function while a statement runs; both handles are on one connection."""
    for number in range(3):
        await agentdb_uow.agent_conversations.get_or_create(f"c{number}", "triage")
    rows = agentdb_uow.agent_conversations.stream(batch=1)
    first = await anext(rows)
    async with agentdb_database.begin(tenant=first.tenant_id) as uow:
        assert len(await uow.agent_conversations.overview()) == 3

    assert len([row async for row in rows]) == 2
