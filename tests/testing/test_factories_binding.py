"""Factories over engines, connections and sessions, and the fixture beside the others."""

from __future__ import annotations

from textwrap import dedent

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from agentdb.auth.models import User
from agentdb.conversations.rows import NewMessage
from agentdb.database import Database
from agentdb.engines import make_sync_engine
from agentdb.errors import DuplicateError
from agentdb.settings import Settings
from agentdb.tenants.models import TenantAccount
from agentdb.testing import Factory
from agentdb.testing.factories.references import table_of
from agentdb.unit_of_work import UnitOfWork
from tests.plugin.test_fresh_project import QUIET, RUNNERS

COUNT = select(func.count()).select_from(table_of(User))

TESTS = """
    import pytest

    {mark}

    @pytest.mark.parametrize("_", [1, 2])
    async def test_joined(agentdb_make, agentdb_uow, agentdb_database, agentdb_tenant, _):
        conversation = agentdb_make.conversation(key="c", messages=2, frames=3)
        async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
            assert 2 == len(await unit.agent_messages.transcript("c"))
        assert 3 == len(await agentdb_uow.conversation_ledger_events.replay("c"))
        assert 1 == await agentdb_uow.agent_conversations.count()
        assert "user-1@example.com" == agentdb_make.user().email

    @pytest.mark.agentdb_commits
    @pytest.mark.parametrize("_", [1, 2])
    async def test_commits(agentdb_make, agentdb_database, _):
        user = agentdb_make.user()
        async with agentdb_database.read(tenant=agentdb_make.tenant.id) as unit:
            assert [user.id] == [found.id for found in await unit.users.all()]
"""


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_fixture_works_under_every_runner(runner: str, pytester: pytest.Pytester) -> None:
    """Synchronous calls in asynchronous tests, rolled back or in a database of the test's own."""
    mark, options = RUNNERS[runner]
    pytester.makepyfile(dedent(TESTS.format(mark=mark)))

    result = pytester.runpytest_subprocess(*QUIET, *options, "--agentdb-backend=sqlite")

    result.assert_outcomes(passed=4)


async def test_what_is_made_is_seen_by_all_fixtures(
    agentdb_make: Factory,
    agentdb_database: Database,
    agentdb_session: AsyncSession,
    agentdb_sync_connection: Connection,
    agentdb_uow: UnitOfWork,
) -> None:
    """Whatever is open meanwhile."""
    assert await agentdb_uow.users.count() == 0
    user = agentdb_make.user()

    assert [found.id for found in await agentdb_uow.users.all()] == [user.id]
    assert (await agentdb_session.execute(COUNT)).scalar_one() == 1
    assert agentdb_sync_connection.execute(COUNT).scalar_one() == 1
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as unit:
        await unit.agent_conversations.get_or_create("c", "triage", user_id=user.id)


def test_the_tenant_is_that_of_the_fixtures(
    agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """So that `agentdb_uow` reads what is made without a word."""
    assert agentdb_make.tenant is agentdb_tenant


@pytest.mark.agentdb_commits
async def test_what_is_made_is_committed_where_the_test_commits(
    agentdb_make: Factory, agentdb_database: Database
) -> None:
    """Other connections see it."""
    agentdb_make.conversation(key="c", messages=1)

    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as unit:
        await unit.agent_messages.append("c", [NewMessage(role="assistant", content="Yes?")])
        assert len(await unit.agent_messages.transcript("c")) == 2


def test_an_engine_takes_a_transaction_for_each_call(agentdb_url: str) -> None:
    """What a call makes is committed when it returns; many rows are one call."""
    engine = make_sync_engine(agentdb_url, Settings())
    factory = Factory(engine)
    taken = factory.user(email="taken@example.com")
    with pytest.raises(DuplicateError):
        factory.user.many(2, email="twice@example.com")

    with engine.connect() as connection:
        found = connection.scalars(select(User.email)).all()
    assert found == [taken.email]
    engine.dispose()


def test_a_connection_is_committed_by_its_owner(agentdb_url: str) -> None:
    """Who has begun a transaction ends it."""
    engine = make_sync_engine(agentdb_url, Settings())
    with engine.connect() as connection:
        with connection.begin() as transaction:
            Factory(connection).user()
            transaction.rollback()
        assert connection.scalar(COUNT) == 0
        connection.rollback()
        with connection.begin():
            Factory(connection).user()
    with engine.connect() as connection:
        assert connection.scalar(COUNT) == 1
    engine.dispose()


def test_rows_of_a_session_stay_in_it(agentdb_sync_connection: Connection) -> None:
    """A refused row undoes itself alone, and the session goes on."""
    with Session(agentdb_sync_connection) as session:
        factory = Factory(session)
        user = factory.user(email="taken@example.com")
        with pytest.raises(DuplicateError):
            factory.user(email="taken@example.com")
        factory.user()

        assert user in session
        assert session.scalar(COUNT) == 2
        session.rollback()
        assert session.scalar(COUNT) == 0


async def test_an_asynchronous_session_runs_it(agentdb_session: AsyncSession) -> None:
    """By `run_sync`, in the transaction of the host."""

    def fill(session: Session) -> None:
        Factory(session).conversation(key="c", messages=3, frames=2)

    await agentdb_session.run_sync(fill)
    found = await agentdb_session.execute(text("SELECT count(*) FROM agent_messages"))

    assert found.scalar_one() == 3
    await agentdb_session.rollback()


async def test_a_system_unit_runs_it(agentdb_database: Database) -> None:
    """The rules that confine its session let it pass."""

    def fill(session: Session) -> None:
        factory = Factory(session)
        factory.conversation(messages=2, frames=2)
        factory.agent_run_usage.many(2)
        factory.vector_store_file(size_bytes=3)
        factory.workflow_run_step.many(2)

    async with agentdb_database.begin_system(reason="fill in examples") as unit:
        await unit.session.run_sync(fill)
    async with agentdb_database.read(reason="look") as unit:
        assert await unit.agent_messages.count() == 2
