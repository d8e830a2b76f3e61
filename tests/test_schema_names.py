"""Names of schemas: each works, quotes and all, or is refused before anything connects."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect, make_url, text

from agentdb import Database, Settings, configure
from agentdb.engines import make_async_engine, make_sync_engine
from agentdb.errors import ConfigurationError
from tests.schemas import expected, run_sql, use

URL = "postgresql://nobody@localhost/nothing"
STAMPED = "CREATE TABLE {}.agentdb_version AS SELECT gen_random_uuid()::text AS version_num"
REFUSED = [
    "",
    "a\x00b",
    "\ud800",
    "x" * 64,
    "é" * 32,
    "pg_temp",
    "pg_agentdb",
    "information_schema",
    "$user",
    "__[SCHEMA__none]",
]
ODD = [
    "quo\"te's",
    "Upper and spaces",
    "100%",
    "%(batch)s",
    "back\\slash",
    "a.b, c; --",
    "values",  # needs no quotes before a table, and does before a type
    "x" * 63,
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_name_is_refused(name: str) -> None:
    """By the database object and by all engines, with the same error."""
    with pytest.raises(ConfigurationError, match="the name of a schema"):
        Database(URL, schema=name)
    with pytest.raises(ConfigurationError):
        make_sync_engine(URL, Settings(), schema=name)
    with pytest.raises(ConfigurationError):
        configure(create_engine("postgresql+psycopg://"), schema=name)


def test_sqlite_has_no_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that would be ignored is refused, wherever it comes from."""
    with pytest.raises(ConfigurationError, match="SQLite"):
        Database("sqlite://", schema="app")
    with pytest.raises(ConfigurationError, match="SQLite"):
        make_async_engine("sqlite://", Settings(), schema="app")
    with pytest.raises(ConfigurationError, match="SQLite"):
        make_sync_engine("sqlite://", Settings(), schema="app")
    with pytest.raises(ConfigurationError, match="SQLite"):
        configure(create_engine("sqlite://"), schema="app")
    monkeypatch.setenv("AGENTDB_DATABASE_URL", "sqlite://")
    monkeypatch.setenv("AGENTDB_SCHEMA", "app")
    with pytest.raises(ConfigurationError, match="SQLite"):
        Database.from_env()


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_name_works_in_all_verbs(agentdb_empty_url: str, name: str) -> None:
    """Upgraded and used through the main verbs."""
    async with Database(agentdb_empty_url, schema=name) as database:
        await database.upgrade()
        await database.require_current()
        assert await use(database, "label") == expected("label")


def plain(name: str) -> bool:
    """Whether a name is accepted."""
    try:
        make_sync_engine(URL, Settings(), schema=name)
    except ConfigurationError:
        return False
    return True


@pytest.mark.agentdb_only("postgres")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=20))
async def test_any_name_that_is_accepted_means_that_schema(
    agentdb_empty_url: str, name: str
) -> None:
    """Units and migrations read its tables, and it is the first of their search path."""
    assume(plain(name))
    run_sql(agentdb_empty_url, "CREATE SCHEMA IF NOT EXISTS {}", name)
    run_sql(agentdb_empty_url, "DROP TABLE IF EXISTS {}.agentdb_version", name)
    run_sql(agentdb_empty_url, STAMPED, name)
    [(revision,)] = run_sql(agentdb_empty_url, "SELECT version_num FROM {}.agentdb_version", name)

    async with Database(agentdb_empty_url, schema=name) as database:
        assert (await database.health()).revision == revision
        async with database.read(reason="test") as unit:
            current = text("SELECT current_schema()")
            assert (await unit.session.execute(current)).scalar_one() == name
    engine = make_sync_engine(agentdb_empty_url, Settings(), schema=name)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_schema()")) == name
        assert inspect(connection).has_table("agentdb_version")


def test_a_url_keeps_its_own_options() -> None:
    """The schema is no part of the URL, which stays as it was given."""
    database = Database(f"{URL}?application_name=desk", schema="app")

    assert database.url.query == make_url(f"{URL}?application_name=desk").query
