"""What one test does, no other sees; within a test everything sees everything."""

from uuid import UUID

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb.database import Database
from agentdb.engines import make_sync_engine
from agentdb.errors import ConfigurationError, PermissionDeniedError
from agentdb.settings import Settings
from agentdb.tenants.models import TenantAccount
from agentdb.testing import OverlapError, explain, explain_sync, run_concurrently
from agentdb.unit_of_work import UnitOfWork

COUNT = text("SELECT count(*) FROM tenant_accounts")

twice = pytest.mark.parametrize("run", ["first", "second"])


async def add(unit: UnitOfWork, slug: str) -> None:
    """Add a tenant."""
    await unit.tenant_accounts.add(TenantAccount(slug=slug, name="A tenant"))


@twice
async def test_what_a_test_commits_is_gone_in_the_next(
    agentdb_database: Database, run: str
) -> None:
    """Each test starts with empty tables, although the code under test commits."""
    async with agentdb_database.begin_system(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 0
        await add(unit, run)
    async with agentdb_database.begin_system(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 1


@twice
@pytest.mark.agentdb_commits
async def test_a_test_that_commits_has_a_database_of_its_own(
    agentdb_database: Database, agentdb_url: str, run: str
) -> None:
    """The marker gives a copy, and other programs see what was committed."""
    async with agentdb_database.begin_system(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 0
        await add(unit, run)
    async with Database(agentdb_url) as other, other.read(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 1


@pytest.mark.agentdb_only("postgres")
async def test_a_plan_is_refused_in_the_database_that_tests_share(
    agentdb_uow: UnitOfWork, agentdb_sync_connection: Connection
) -> None:
    """What others rolled back would choose the index: the marker is missing."""
    with pytest.raises(ConfigurationError, match="agentdb_plans"):
        await explain(agentdb_uow, select(TenantAccount))
    with pytest.raises(ConfigurationError, match="agentdb_plans"):
        explain_sync(agentdb_sync_connection, select(TenantAccount))


@twice
@pytest.mark.agentdb_plans
@pytest.mark.agentdb_only("postgres")
async def test_a_test_of_plans_finds_files_that_nobody_wrote_to(
    agentdb_database: Database, run: str
) -> None:
    """A rollback leaves rows and the counts of ANALYZE behind; the test sees those of no other."""
    files = text("SELECT pg_relation_size(oid), relpages FROM pg_class WHERE relname = :table")
    async with agentdb_database.begin_system(reason="test") as unit:
        found = await unit.execute(files, {"table": TenantAccount.__tablename__})
        assert found.one() == (0, 0)
        await add(unit, run)
        await unit.execute(text("ANALYZE tenant_accounts"))


async def test_a_failed_unit_takes_back_its_own_work_alone(agentdb_database: Database) -> None:
    """Rollback works as in production, and what was committed before stays."""
    async with agentdb_database.begin_system(reason="test") as unit:
        await add(unit, "kept")
    with pytest.raises(RuntimeError):
        await fail_after_adding(agentdb_database)
    async with agentdb_database.begin_system(reason="test") as unit:
        assert [tenant.slug for tenant in await unit.tenant_accounts.all()] == ["kept"]


async def fail_after_adding(database: Database) -> None:
    """Add a tenant in a unit that fails."""
    async with database.begin_system(reason="test") as unit:
        await add(unit, "lost")
        await unit.session.flush()
        raise RuntimeError


async def test_all_fixtures_share_one_connection(
    agentdb_uow: UnitOfWork,
    agentdb_tenant: TenantAccount,
    agentdb_database: Database,
    agentdb_session: AsyncSession,
    agentdb_sync_connection: Connection,
) -> None:
    """An open unit, units under test, a host's session and synchronous code see each other."""
    await agentdb_uow.agent_conversations.get_or_create("one", "triage")
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await unit.agent_conversations.get_or_create("two", "triage")
    count = text("SELECT count(*) FROM agent_conversations")

    assert await agentdb_uow.agent_conversations.count() == 2
    assert (await agentdb_session.execute(count)).scalar_one() == 2
    assert agentdb_sync_connection.execute(count).scalar_one() == 2


async def test_the_session_of_a_host_may_commit_and_roll_back(
    agentdb_session: AsyncSession, agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Commits of a host's session last for the test, and a rollback goes back to the last one."""
    rename = text("UPDATE tenant_accounts SET name = :name")
    await agentdb_session.execute(rename, {"name": "committed"})
    await agentdb_session.commit()
    await agentdb_session.execute(rename, {"name": "taken back"})
    await agentdb_session.rollback()

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        assert (await unit.tenant_accounts.require(agentdb_tenant.id)).name == "committed"


def test_synchronous_code_may_commit_and_roll_back(
    agentdb_sync_connection: Connection, agentdb_tenant: TenantAccount
) -> None:
    """The synchronous connection works without an event loop, with the same rules."""
    agentdb_sync_connection.execute(text("UPDATE tenant_accounts SET name = 'committed'"))
    agentdb_sync_connection.commit()
    agentdb_sync_connection.execute(text("DELETE FROM tenant_accounts"))
    agentdb_sync_connection.rollback()
    names = agentdb_sync_connection.execute(text("SELECT name FROM tenant_accounts"))

    assert list(names.scalars()) == ["committed"]
    assert isinstance(agentdb_tenant.id, UUID)


async def test_a_unit_that_reads_refuses_writes(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The options of a transaction hold in the savepoint that stands for it, and end with it."""
    async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
        with pytest.raises(PermissionDeniedError):
            await unit.agent_conversations.get_or_create("one", "triage")
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        await unit.agent_conversations.get_or_create("one", "triage")


@pytest.mark.agentdb_only("postgres")
async def test_an_inner_unit_gives_the_settings_of_the_outer_one_back(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The tenant that policies see is that of the unit which sends the statement."""
    seen = text("SELECT current_setting('agentdb.tenant_id')")
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as outer:
        async with agentdb_database.begin_system(reason="test") as inner:
            assert (await inner.execute(seen)).scalar_one() == ""
        assert str(agentdb_tenant.id) == (await outer.execute(seen)).scalar_one()


async def test_units_that_overlap_are_told_to_take_connections(agentdb_database: Database) -> None:
    """A unit whose work another one has taken back cannot commit: the marker is missing."""
    with pytest.raises(OverlapError, match="agentdb_commits"):
        await overlap(agentdb_database)


async def overlap(database: Database) -> None:
    """Roll the outer of two units back before the inner one commits."""
    outer = AsyncSession(database.engine)
    await outer.execute(COUNT)
    async with database.begin_system(reason="test") as inner:
        await add(inner, "lost")
        await outer.rollback()


@pytest.mark.agentdb_commits
async def test_concurrent_callers_have_real_connections(agentdb_database: Database) -> None:
    """Results and errors come in the order of the tasks."""

    async def call(number: int) -> int:
        async with agentdb_database.begin_system(reason="test") as unit:
            await add(unit, f"tenant-{number}")
            if number == 2:
                raise LookupError(number)
        return number

    first, second, third, fourth = await run_concurrently(4, call, database=agentdb_database)

    assert [first, second, fourth] == [0, 1, 3]
    assert isinstance(third, LookupError)
    async with agentdb_database.read(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 3


def test_an_empty_database_has_no_tables(agentdb_empty_url: str) -> None:
    """For tests of migrations, and of programs that find nothing."""
    assert inspect(make_sync_engine(agentdb_empty_url, Settings())).get_table_names() == []
