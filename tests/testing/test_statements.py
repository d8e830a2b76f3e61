from __future__ import annotations

import pytest
from sqlalchemy import Connection, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb.database import Database
from agentdb.engines import make_sync_engine
from agentdb.models import BillingPlan, TenantAccount
from agentdb.settings import Settings
from agentdb.testing import Queries, capture_statements
from agentdb.testing.statements import Sender
from agentdb.unit_of_work import UnitOfWork

COUNT = text("SELECT count(*)\n  FROM billing_plans")
LINE = "SELECT count(*) FROM billing_plans"


async def test_the_units_of_the_code_under_test_are_counted(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_queries: Queries
) -> None:
    """BEGIN, COMMIT, savepoints, settings and the first contact with the database are not."""
    with agentdb_queries(max=2) as seen:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit, unit.savepoint():
            await unit.agent_conversations.count()
        async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
            await unit.agent_conversations.count()

    assert [statement.split()[0] for statement in seen] == ["SELECT", "SELECT"]


async def test_sessions_and_synchronous_connections_are_counted(
    agentdb_session: AsyncSession, agentdb_sync_connection: Connection, agentdb_queries: Queries
) -> None:
    """Whichever engine they come from."""
    with agentdb_queries(max=2) as seen:
        await agentdb_session.execute(COUNT)
        await agentdb_session.commit()
        agentdb_sync_connection.execute(COUNT)
        agentdb_sync_connection.commit()

    assert seen == [LINE, LINE]


def test_engines_that_the_code_makes_itself_are_counted(
    agentdb_url: str, agentdb_queries: Queries
) -> None:
    """An engine that was made within the block is listened to like any other."""
    with agentdb_queries(max=1) as seen:
        engine = make_sync_engine(agentdb_url, Settings())
        with engine.connect() as connection:
            connection.execute(COUNT)
        engine.dispose()

    assert seen == [LINE]


async def test_a_budget_that_is_exceeded_fails_with_the_statements(
    agentdb_session: AsyncSession, agentdb_queries: Queries
) -> None:
    """In the order of their sending, with placeholders for values."""
    with (
        pytest.raises(AssertionError, match="2 statements were sent, at most 1") as caught,
        agentdb_queries(max=1),
    ):
        await agentdb_session.execute(COUNT)
        await agentdb_session.execute(select(literal("hunter2")))

    first, second = str(caught.value).splitlines()[1:]
    assert first == f"   1. {LINE}"
    assert second.startswith("   2. SELECT ")
    assert "hunter2" not in str(caught.value)


async def test_a_block_that_raises_is_not_judged(
    agentdb_session: AsyncSession, agentdb_queries: Queries
) -> None:
    """What it raised is what the test reports."""
    with pytest.raises(ZeroDivisionError), agentdb_queries(max=0):
        await agentdb_session.execute(COUNT)
        raise ZeroDivisionError


async def test_capturing_ends_with_the_block(agentdb_session: AsyncSession) -> None:
    """A nested block ends alone, and later statements are nobody's."""
    with capture_statements() as outer:
        with capture_statements(agentdb_session) as inner:
            await agentdb_session.execute(COUNT)
        await agentdb_session.execute(COUNT)
    await agentdb_session.execute(COUNT)

    assert (outer, inner) == ([LINE, LINE], [LINE])


async def test_one_sender_is_told_from_another(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_sync_connection: Connection
) -> None:
    """Each of them stands for its engine: units share that of their database."""
    async with agentdb_database.engine.connect() as connection:
        senders: list[Sender] = [
            agentdb_database,
            agentdb_database.engine,
            agentdb_database.engine.sync_engine,
            agentdb_uow,
            agentdb_uow.session,
            agentdb_uow.session.sync_session,
            connection,
        ]
        for sender in senders:
            with (
                capture_statements(sender) as sent,
                capture_statements(agentdb_sync_connection) as others,
            ):
                await agentdb_uow.session.execute(select(literal(1)))
            assert (len(sent), others) == (1, [])


async def test_control_statements_are_listed_on_request(agentdb_session: AsyncSession) -> None:
    """Savepoints are, and never the values of parameters."""
    with capture_statements(agentdb_session, control=True) as sent:
        async with agentdb_session.begin_nested():
            await agentdb_session.execute(select(literal("hunter2")))

    verbs = [statement.split()[0] for statement in sent if not statement.startswith("BEGIN")]
    assert verbs == ["SAVEPOINT", "SELECT", "RELEASE"]
    assert "hunter2" not in "".join(sent)


async def test_many_rows_are_one_statement(agentdb_session: AsyncSession) -> None:
    """A statement for many rows counts as often as it is sent."""
    rows = [{"code": f"c{n}", "name": "n", "price_cents": 1} for n in range(20)]
    with capture_statements(agentdb_session) as sent:
        await agentdb_session.execute(insert(BillingPlan), rows)

    assert len(sent) == 1
