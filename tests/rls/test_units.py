"""Units of work on a database under row-level security."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb import Database, UnitOfWork, configure, maintenance
from agentdb.errors import AgentDBError, ConfigurationError, PermissionDeniedError
from agentdb.settings import Settings
from agentdb.testing import RoleUrls, capture_statements
from tests.rls.test_changes import connect, postgres

REQUIRED = Settings(rls="require")
MISSING = "set platform_url, or AGENTDB_PLATFORM_DATABASE_URL"

TENANT = text("SELECT current_setting('agentdb.tenant_id', true)")


@pytest_asyncio.fixture
async def database(agentdb_role_urls: RoleUrls) -> AsyncIterator[Database]:
    """The database by the roles of a service, over one connection for each."""
    urls = agentdb_role_urls
    settings = Settings(rls="require", pool_size=1, max_overflow=0)
    async with Database(urls.app, platform_url=urls.platform, settings=settings) as database:
        yield database


async def tenants(database: Database) -> tuple[UUID, UUID]:
    """Make two tenants."""
    async with database.begin_system(reason="test") as uow:
        return (
            (await uow.tenant_accounts.create(slug="alpha", name="Alpha")).id,
            (await uow.tenant_accounts.create(slug="beta", name="Beta")).id,
        )


async def seen(session: AsyncSession) -> set[str]:
    """Return the slugs that raw SQL finds."""
    connection = await session.connection()
    return set((await connection.exec_driver_sql("SELECT slug FROM tenant_accounts")).scalars())


async def test_raw_sql_sees_the_rows_of_the_tenant_alone(database: Database) -> None:
    """No filter reaches it; the system sees all."""
    alpha, beta = await tenants(database)

    async with database.begin(tenant=alpha) as uow:
        assert await seen(uow.session) == {"alpha"}
    async with database.read(tenant=beta) as uow:
        assert await seen(uow.session) == {"beta"}
    async with database.begin_system(reason="test") as uow:
        assert await seen(uow.session) == {"alpha", "beta"}


async def test_the_tenant_ends_with_the_transaction(database: Database) -> None:
    """The next borrower of the connection is another tenant's, or nobody's."""
    alpha, _ = await tenants(database)
    async with database.begin(tenant=alpha):
        pass
    with pytest.raises(ZeroDivisionError):
        async with database.begin(tenant=alpha) as uow:
            async with uow.savepoint():
                await seen(uow.session)
            raise ZeroDivisionError

    async with database.engine.connect() as connection:
        assert (await connection.execute(TENANT)).scalar() == ""
        found = await connection.execute(text("SELECT slug FROM tenant_accounts"))
        assert found.all() == []


async def test_a_savepoint_keeps_the_tenant(database: Database) -> None:
    """What is rolled back to it was set before."""
    alpha, _ = await tenants(database)
    async with database.begin(tenant=alpha) as uow:
        async with uow.session.begin_nested() as savepoint:
            await uow.session.execute(text("SELECT 1"))
            await savepoint.rollback()

        assert await seen(uow.session) == {"alpha"}


Work = Callable[[Database], Awaitable[object]]


async def begin(database: Database) -> None:
    """Begin a unit of the system."""
    async with database.begin_system(reason="test"):
        raise AssertionError  # it was let in


async def read(database: Database) -> None:
    """Begin a reading unit of the system."""
    async with database.read(reason="test"):
        raise AssertionError  # the same


async def run(database: Database) -> None:
    """Run a unit of the system, as sign-up does."""

    async def work(uow: UnitOfWork) -> None:
        raise AssertionError(uow)  # the same

    await database.run(work, reason="sign-up")


async def claim(database: Database) -> None:
    """Claim a run."""
    async with database.claim_run():
        raise AssertionError  # the same


async def maintain(database: Database) -> None:
    """Sweep a table."""
    await maintenance.expire_invites(database)


@pytest.mark.parametrize("work", [begin, read, run, claim, maintain], ids=lambda w: w.__name__)
async def test_a_system_unit_that_would_see_nothing_is_refused(
    agentdb_role_urls: RoleUrls, work: Work
) -> None:
    """The error names what to set, and no statement of the unit was sent."""
    async with Database(agentdb_role_urls.app) as database:
        with (
            capture_statements(database.engine) as sent,
            pytest.raises(PermissionDeniedError, match=MISSING),
        ):
            await work(database)

        assert sent == []
        assert "Checked out connections: 0" in database.engine.pool.status()


async def test_a_platform_role_that_is_bound_is_refused(agentdb_role_urls: RoleUrls) -> None:
    """It needs BYPASSRLS."""
    urls = agentdb_role_urls
    async with Database(urls.app, platform_url=urls.app) as database:
        with pytest.raises(PermissionDeniedError, match="BYPASSRLS"):
            await begin(database)


@pytest.mark.parametrize(("role", "right"), [("platform", "NOBYPASSRLS"), ("app", "BYPASSRLS")])
async def test_a_role_that_changes_is_refused_by_the_server(
    agentdb_role_urls: RoleUrls, database: Database, role: str, right: str
) -> None:
    """Later units of a connection wait with BEGIN for their first statement; it is not run."""
    alpha, _ = await tenants(database)
    async with database.begin(tenant=alpha) as uow:
        assert await uow.agent_conversations.count() == 0
    name = make_url(getattr(agentdb_role_urls, role)).username
    with connect(agentdb_role_urls.superuser) as connection:
        connection.execute(f'ALTER ROLE "{name}" {right}'.encode())

    scope: dict[str, Any] = {"reason": "test"} if role == "platform" else {"tenant": alpha}

    async def work(uow: UnitOfWork) -> None:
        with pytest.raises(PermissionDeniedError, match="row-level security"):
            await uow.agent_conversations.get_or_create("chat", "app", tenant_id=alpha)

    with pytest.raises(AgentDBError, match="rolled back"):
        await database.run(work, **scope)
    with connect(agentdb_role_urls.superuser) as connection:
        assert connection.execute("SELECT * FROM agent_conversations").fetchall() == []


async def test_a_single_table_under_policies_is_enough_to_refuse(
    agentdb_role_urls: RoleUrls,
) -> None:
    """A connection is asked about all tables once: one of them would look empty."""
    with connect(agentdb_role_urls.superuser) as connection:
        tables = connection.execute("SELECT tablename FROM pg_policies WHERE tablename <> 'users'")
        for (table,) in set(tables.fetchall()):
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY".encode())

    async with Database(agentdb_role_urls.app) as database:
        with pytest.raises(PermissionDeniedError, match=MISSING):
            await begin(database)


@pytest.mark.parametrize("role", ["superuser", "platform"])
async def test_a_role_that_passes_does_no_work_for_a_tenant(
    agentdb_role_urls: RoleUrls, role: str
) -> None:
    """Where row-level security is required; else it may."""
    url: str = getattr(agentdb_role_urls, role)
    async with Database(url) as database:
        alpha, _ = await tenants(database)
        async with database.begin(tenant=alpha) as uow:
            assert await uow.tenant_accounts.count() == 1
    async with Database(url, settings=REQUIRED) as database:
        with pytest.raises(PermissionDeniedError, match='rls="require"'):
            async with database.begin(tenant=alpha):
                raise AssertionError  # it was let in


@pytest.mark.parametrize("damage", ["NO FORCE", "DISABLE"])
async def test_one_open_table_is_enough_to_refuse(agentdb_role_urls: RoleUrls, damage: str) -> None:
    """An owner without FORCE, and a table without row-level security."""
    urls = agentdb_role_urls
    async with Database(urls.owner, platform_url=urls.platform, settings=REQUIRED) as database:
        alpha, _ = await tenants(database)
        async with database.begin(tenant=alpha) as uow:
            assert await seen(uow.session) == {"alpha"}
        with connect(urls.owner) as connection:
            connection.execute(f"ALTER TABLE users {damage} ROW LEVEL SECURITY".encode())
        await database.dispose()

        with pytest.raises(PermissionDeniedError, match='rls="require"'):
            async with database.begin(tenant=alpha):
                raise AssertionError  # it was let in


@postgres
async def test_an_open_database_is_refused_where_policies_are_required(agentdb_url: str) -> None:
    """Before a statement of the unit; the system works without."""
    async with Database(agentdb_url) as database:
        alpha, _ = await tenants(database)
    async with Database(agentdb_url, settings=REQUIRED) as database:
        with pytest.raises(PermissionDeniedError, match='rls="require"'):
            async with database.begin(tenant=alpha):
                raise AssertionError  # it was let in
        async with database.begin_system(reason="test") as uow:
            assert await uow.tenant_accounts.count() == 2


@pytest.mark.parametrize("begun", [False, True], ids=["new session", "session in a transaction"])
async def test_a_session_of_the_host_tells_the_tenant(
    agentdb_role_urls: RoleUrls, begun: bool
) -> None:
    """In each of its transactions, and also where the host had begun one."""
    urls = agentdb_role_urls
    async with Database(urls.app, platform_url=urls.platform) as database:
        alpha, _ = await tenants(database)
        async with AsyncSession(database.engine) as session:
            if begun:
                await session.execute(text("SELECT 1"))
            uow = UnitOfWork(session, tenant=alpha)
            assert await seen(session) == {"alpha"}
            await session.commit()
            assert await uow.tenant_accounts.count() == 1
            async with session.begin_nested():
                assert await seen(session) == {"alpha"}


async def test_an_engine_of_the_host_is_asked_as_ours(agentdb_role_urls: RoleUrls) -> None:
    """A unit of the system on it is refused with the first statement, as is a role that passes."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 -- the host's

    from agentdb.urls import async_url  # noqa: PLC0415 -- the same

    async def use(url: str, **unit: Any) -> None:
        engine = create_async_engine(async_url(url))
        configure(engine, REQUIRED)
        try:
            async with AsyncSession(engine) as session:
                await UnitOfWork(session, **unit).tenant_accounts.count()
        finally:
            await engine.dispose()

    await use(agentdb_role_urls.app, tenant=UUID(int=1))
    await use(agentdb_role_urls.platform, system="test")
    with pytest.raises(PermissionDeniedError, match="BYPASSRLS"):
        await use(agentdb_role_urls.app, system="test")
    with pytest.raises(PermissionDeniedError, match='rls="require"'):
        await use(agentdb_role_urls.platform, tenant=UUID(int=1))


@pytest.mark.agentdb_only("sqlite")
async def test_sqlite_takes_no_platform_role(agentdb_url: str) -> None:
    """It has no roles; that policies are required changes nothing there."""
    with pytest.raises(ConfigurationError, match="SQLite has no roles"):
        Database(agentdb_url, platform_url=agentdb_url)
    async with Database(agentdb_url, settings=REQUIRED) as database:
        alpha, _ = await tenants(database)
        async with database.begin(tenant=alpha) as uow:
            assert await uow.tenant_accounts.count() == 1


async def test_the_platform_role_comes_from_the_environment(
    agentdb_role_urls: RoleUrls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its password is shown nowhere."""
    monkeypatch.setenv("AGENTDB_DATABASE_URL", agentdb_role_urls.app)
    monkeypatch.setenv("AGENTDB_PLATFORM_DATABASE_URL", agentdb_role_urls.platform)
    caplog.set_level(logging.DEBUG)

    async with Database.from_env() as database:
        await tenants(database)
        assert database.platform_engine is not None
        password = database.platform_engine.url.password

    assert isinstance(password, str)
    assert password not in repr(database) + caplog.text
