"""Installations in schemas of one database; names of schemas and a host's engine have own files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb import Database, Settings, metadata
from agentdb.auth.models import User
from agentdb.errors import ConfigurationError, DuplicateError, SchemaVersionError
from agentdb.migrate import Limits, State
from agentdb.models import TenantAccount
from agentdb.testing.joined import JoinedPostgres
from agentdb.urls import ENVIRONMENT, SCHEMA_ENVIRONMENT, sync_url
from tests.rows import rows_of
from tests.schemas import content, expected, fill, run_sql, use

postgres = pytest.mark.agentdb_only("postgres")
SCHEMAS = (None, "app", "Other one")
SHOW_PATH = text("SELECT current_setting('search_path')")


@asynccontextmanager
async def installed(
    url: str, *schemas: str | None, settings: Settings | None = None
) -> AsyncGenerator[list[Database]]:
    """Yield a database object for each schema, upgraded."""
    async with AsyncExitStack() as stack:
        made = [Database(url, schema=schema, settings=settings) for schema in schemas]
        for database in made:
            await stack.enter_async_context(database)
            await database.upgrade()
        yield made


async def add(database: Database, slug: str) -> None:
    """Store a tenant."""
    async with database.begin_system(reason="test") as unit:
        await unit.tenant_accounts.create("Acme", slug)


async def slugs(database: Database) -> set[str]:
    """Return the slugs that are stored."""
    async with database.read(reason="test") as unit:
        return {tenant.slug for tenant in await unit.tenant_accounts.all()}


@postgres
async def test_installations_share_no_row_of_any_table(agentdb_empty_url: str) -> None:
    """All 46 tables are filled in three schemas with the same keys, and each sees its own."""
    async with installed(agentdb_empty_url, *SCHEMAS) as databases:
        filled = [await fill(database, "same") for database in databases]
        async with databases[1].begin_system(reason="test") as unit:
            key = rows_of("same")["tenant_accounts"].id
            await unit.tenant_accounts.update(key, name="Renamed")
        changed = [await content(database) for database in databases]

    names = sorted(metadata.tables)
    assert [sorted(table for table, _ in one) for one in filled] == [names, names, names]
    assert (changed[0], changed[2]) == (filled[0], filled[2])
    assert changed[1]["tenant_accounts", (key,)]["name"] == "Renamed"


@postgres
@pytest.mark.parametrize("place", ["public", "extensions", "app"])
async def test_all_verbs_work_wherever_citext_lies(agentdb_empty_url: str, place: str) -> None:
    """In public, in a schema for extensions, and in the schema of one of the installations."""
    run_sql(agentdb_empty_url, "CREATE SCHEMA IF NOT EXISTS {}", place)
    run_sql(agentdb_empty_url, "CREATE EXTENSION citext SCHEMA {}", place)
    async with installed(agentdb_empty_url, "app", "Other one") as (first, second):
        assert await use(first, "first") == expected("first")
        assert await use(second, "second") == expected("second")


@postgres
async def test_an_address_is_unique_without_case_in_each_schema(agentdb_empty_url: str) -> None:
    """The unique index of a CITEXT column works where citext is off the default search path."""
    run_sql(agentdb_empty_url, "CREATE SCHEMA extensions")
    run_sql(agentdb_empty_url, "CREATE EXTENSION citext SCHEMA extensions")
    async with (
        installed(agentdb_empty_url, "app") as (database,),
        database.begin_system(reason="test") as unit,
    ):
        await unit.users.add(User(email="ada@example.com", password_hash="d"))
        with pytest.raises(DuplicateError):
            await unit.users.add(User(email="ADA@example.com", password_hash="d"))


@postgres
async def test_citext_may_come_and_move_while_a_pool_is_open(agentdb_empty_url: str) -> None:
    """A connection from before the first upgrade compares without case, also after a move."""
    run_sql(agentdb_empty_url, "CREATE SCHEMA extensions")
    one = Settings(pool_size=1, max_overflow=0)
    async with Database(agentdb_empty_url, schema="app", settings=one) as database:
        assert (await database.health()).revision is None
        await database.upgrade()
        assert await use(database, "label") == expected("label")

        run_sql(agentdb_empty_url, "ALTER EXTENSION citext SET SCHEMA extensions")
        async with database.read(reason="test") as unit:
            assert await unit.users.exists(User.email == "ADA@EXAMPLE.COM")


@postgres
@pytest.mark.parametrize("made", [False, True], ids=["no schema", "an empty schema"])
async def test_an_installation_that_is_not_there_is_never_that_of_public(
    agentdb_empty_url: str, *, made: bool
) -> None:
    """Where a table is missing, every way in says so, although public has one of that name."""
    async with (
        installed(agentdb_empty_url, None) as (public,),
        Database(agentdb_empty_url, schema="app") as database,
    ):
        await add(public, "acme")
        if made:
            run_sql(agentdb_empty_url, "CREATE SCHEMA app")

        assert (await database.health()).revision is None
        assert (await database.verdict()).state is State.BEHIND
        with pytest.raises(SchemaVersionError):
            await database.require_current()
        with pytest.raises(SchemaVersionError):
            await slugs(database)
        with pytest.raises(SchemaVersionError):
            await add(database, "leak")
        assert await slugs(public) == {"acme"}


@postgres
async def test_a_verdict_is_of_its_own_schema(agentdb_empty_url: str) -> None:
    """An installation that lags behind says so beside one that is current, and the other way."""
    async with (
        installed(agentdb_empty_url, None) as (public,),
        Database(agentdb_empty_url, schema="app") as database,
    ):
        await database.upgrade("0001")

        assert (await public.require_current()).state is State.CURRENT
        verdict = await database.verdict()
        assert (verdict.state, verdict.revision) == (State.BEHIND, "0001")
        assert (await database.health()).revision == "0001"


@postgres
async def test_a_single_missing_table_is_not_taken_from_public(agentdb_empty_url: str) -> None:
    """What somebody dropped in a schema is an error, not the rows of another installation."""
    async with installed(agentdb_empty_url, None, "app") as (public, database):
        await use(public, "public")
        run_sql(agentdb_empty_url, "DROP TABLE app.billing_plans CASCADE")

        with pytest.raises(SchemaVersionError):
            async with database.read(reason="test") as unit:
                await unit.billing_plans.all()


@postgres
async def test_statements_of_two_schemas_never_mix(agentdb_empty_url: str) -> None:
    """Two pools of one process run the same statements in turns and at once, prepared ones too."""
    one = Settings(pool_size=1, max_overflow=0)
    async with installed(agentdb_empty_url, "app", "Other one", settings=one) as databases:

        async def work(number: int) -> None:
            await add(databases[number % 2], f"{'ab'[number % 2]}-{number}")

        await asyncio.gather(*map(work, range(24)))

        assert await slugs(databases[0]) == {f"a-{number}" for number in range(0, 24, 2)}
        assert await slugs(databases[1]) == {f"b-{number}" for number in range(1, 24, 2)}
        async with databases[0].read(reason="test") as unit:
            prepared = text("SELECT statement FROM pg_prepared_statements")
            names = (await unit.session.execute(prepared)).scalars().all()
            assert any('"app".tenant_accounts' in name for name in names)
            assert not any('"Other one"' in name for name in names)


@postgres
async def test_the_search_path_lasts_as_long_as_the_transaction(agentdb_empty_url: str) -> None:
    """So nothing stays on a server connection that a pooler hands to others."""
    run_sql(agentdb_empty_url, "CREATE EXTENSION citext")
    one = Settings(pool_size=1, max_overflow=0)
    async with installed(agentdb_empty_url, "Other one", settings=one) as (database,):
        async with database.begin_system(reason="test") as unit:
            assert (await unit.session.execute(SHOW_PATH)).scalar_one() == '"Other one", public'
        async with database.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            cursor = await driver.execute("SHOW search_path")
            assert await cursor.fetchone() == ('"$user", public',)


@contextmanager
def limited_role(url: str, schema: str) -> Generator[str]:
    """Yield a URL of a role that owns a schema, and may make none."""
    role = f"agentdb_{uuid4().hex[:8]}"
    run_sql(url, "CREATE ROLE {} LOGIN PASSWORD 'secret'", role)
    try:
        run_sql(url, "CREATE SCHEMA {} AUTHORIZATION {}", schema, role)
        limited = sync_url(url).set(username=role, password="secret")
        yield limited.render_as_string(hide_password=False)
    finally:
        run_sql(url, "DROP OWNED BY {} CASCADE", role)
        run_sql(url, "DROP ROLE {}", role)


@postgres
async def test_a_role_that_may_make_no_schema_uses_one_that_exists(agentdb_empty_url: str) -> None:
    """With citext installed, owning the schema is enough."""
    run_sql(agentdb_empty_url, "CREATE EXTENSION citext")
    with limited_role(agentdb_empty_url, "app") as url:
        async with installed(url, "app") as (database,):
            assert await use(database, "label") == expected("label")


@postgres
async def test_joined_tests_keep_schemas_apart(agentdb_empty_url: str) -> None:
    """On the one connection of the test plugin, the path of an outer unit comes back."""
    run_sql(agentdb_empty_url, "CREATE EXTENSION citext")
    async with installed(agentdb_empty_url, "app", "Other one"):
        pass
    joined = JoinedPostgres(agentdb_empty_url)
    first, second = (Database(agentdb_empty_url, schema=name) for name in SCHEMAS[1:])
    joined.join(first.engine)
    joined.join(second.engine)

    async with first.begin_system(reason="test") as unit:
        assert await use(second, "inner") == expected("inner")
        assert (await unit.session.execute(SHOW_PATH)).scalar_one() == '"app", public'
    assert await use(first, "outer") == expected("outer")

    joined.end()
    await first.dispose()
    await second.dispose()
    joined.close()
    async with Database(agentdb_empty_url, schema="app") as database:
        assert await slugs(database) == set()


@postgres
async def test_a_session_that_replaces_the_schema_is_refused(agentdb_empty_url: str) -> None:
    """Options of a session cannot lead to the tables of another installation."""
    async with (
        installed(agentdb_empty_url, None, "app") as (_, database),
        AsyncSession(database.engine) as session,
    ):
        with pytest.raises(ConfigurationError):
            await session.connection(execution_options={"schema_translate_map": {}})


@postgres
async def test_the_environment_names_the_schema(
    agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`from_env` reads it; empty is as good as none."""
    monkeypatch.setenv(ENVIRONMENT, agentdb_empty_url)
    monkeypatch.setenv(SCHEMA_ENVIRONMENT, "app")
    async with Database.from_env() as database:
        assert database.schema == "app"
        assert repr(database).endswith(" schema='app'>")
        await database.upgrade()
    monkeypatch.setenv(SCHEMA_ENVIRONMENT, "")
    async with Database.from_env() as public:
        assert public.schema is None
        assert (await public.health()).revision is None


async def test_a_start_up_is_refused_until_the_schema_is_current(agentdb_empty_url: str) -> None:
    """`require_current` migrates nothing, and lets a current database pass."""
    told: list[str] = []
    async with Database(agentdb_empty_url) as database:
        assert (await database.verdict()).state is State.BEHIND
        with pytest.raises(SchemaVersionError):
            await database.require_current()
        assert (await database.health()).revision is None

        await database.upgrade("0001", limits=Limits(wait=60), progress=told.append)
        verdict = await database.verdict()
        assert (verdict.state, verdict.revision) == (State.BEHIND, "0001")

        await database.upgrade()
        assert await database.require_current() == await database.verdict()
        assert (await database.verdict()).state is State.CURRENT
    assert any("0001" in line for line in told)


async def test_a_database_in_memory_is_judged_over_its_own_connection() -> None:
    """There is no other."""
    async with Database("sqlite://") as database:
        with pytest.raises(SchemaVersionError):
            await database.require_current()
        await database.upgrade()
        assert (await database.require_current()).state is State.CURRENT
        async with database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.add(TenantAccount(slug="acme", name="Acme"))
        assert await slugs(database) == {"acme"}
