"""Several installations in one database, each in a schema of its own."""

from __future__ import annotations

import psycopg
import pytest

from agentdb import migrate
from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.migrate import State
from agentdb.version import VERSION_TABLE
from tests.migrations.dumps import dump

postgres = pytest.mark.agentdb_only("postgres")

OBJECTS = """
    SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    UNION ALL
    SELECT nspname || '.' || typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
    WHERE typtype = 'e'
"""


def objects(url: str) -> set[str]:
    """Return all tables, indexes, sequences and enumeration types, with their schemas."""
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute(OBJECTS)}


def neutral(found: list[tuple[str, ...]], schema: str) -> list[tuple[str, ...]]:
    """Take the name of the schema out of a dump."""
    return [tuple(part.replace(f"{schema}.", "") for part in row) for row in found]


@postgres
def test_a_schema_holds_everything_and_nothing_else_is_made(agentdb_empty_url: str) -> None:
    """Tables, indexes, sequences, types and the version are in it; the extension is beside it."""
    migrate.upgrade(agentdb_empty_url, schema="app")

    assert {name.partition(".")[0] for name in objects(agentdb_empty_url)} == {"app"}
    with psycopg.connect(agentdb_empty_url) as connection:
        place = connection.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'"
        )
        assert place.fetchone() == ("public",)


@postgres
def test_installations_beside_each_other_are_alike_and_apart(agentdb_empty_url: str) -> None:
    """Each schema has its own revision; what is done to one leaves the others as they were."""
    for schema in (None, "app", "other"):
        migrate.upgrade(agentdb_empty_url, schema=schema)
    public = dump(agentdb_empty_url, "public")
    assert neutral(dump(agentdb_empty_url, "app"), "app") == neutral(public, "public")
    other = objects(agentdb_empty_url) - {o for o in objects(agentdb_empty_url) if "app." in o}

    migrate.downgrade(agentdb_empty_url, "0003", schema="app")
    assert migrate.current(agentdb_empty_url, schema="app") == "0003"
    assert migrate.verdict(agentdb_empty_url, schema="app").state is State.BEHIND
    migrate.downgrade(agentdb_empty_url, "base", schema="app")

    assert objects(agentdb_empty_url) == other | {
        f"app.{VERSION_TABLE}",
        f"app.{VERSION_TABLE}_pkc",
    }
    assert dump(agentdb_empty_url, "public") == public
    for schema in (None, "other"):
        assert migrate.require_current(agentdb_empty_url, schema=schema).state is State.CURRENT
        assert migrate.check(agentdb_empty_url, schema=schema) == []


@postgres
def test_an_empty_schema_is_not_taken_for_the_one_beside_it(agentdb_url: str) -> None:
    """Where a schema has no tables, those of the default one are never read in their place."""
    found = migrate.verdict(agentdb_url, schema="app")
    assert (found.state, found.revision) == (State.BEHIND, None)
    with pytest.raises(SchemaVersionError, match="no revision"):
        migrate.require_current(agentdb_url, schema="app")
    assert migrate.losses(agentdb_url, "base") == []


@postgres
def test_the_version_is_read_from_the_schema_alone(agentdb_url: str) -> None:
    """Each installation answers for itself, also when the other one is elsewhere."""
    migrate.upgrade(agentdb_url, "0002", schema="app")

    assert migrate.current(agentdb_url, schema="app") == "0002"
    assert migrate.current(agentdb_url) == migrate.heads()[0]


@postgres
@pytest.mark.parametrize("schema", ["App", "with space", 'quo"ted', "per%cent", "user", "ü"])
def test_any_name_of_a_schema_works(agentdb_empty_url: str, schema: str) -> None:
    """Names that have to be quoted go through up, check and down."""
    migrate.upgrade(agentdb_empty_url, schema=schema)
    assert migrate.check(agentdb_empty_url, schema=schema) == []
    migrate.downgrade(agentdb_empty_url, "base", schema=schema)

    assert migrate.current(agentdb_empty_url, schema=schema) is None
    assert len(objects(agentdb_empty_url)) == 2


@postgres
def test_citext_is_found_wherever_it_is(agentdb_empty_url: str) -> None:
    """An operator may have put the extension into a schema of its own."""
    with psycopg.connect(agentdb_empty_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("CREATE EXTENSION citext SCHEMA extensions")
    migrate.upgrade(agentdb_empty_url, schema="app")

    assert migrate.check(agentdb_empty_url, schema="app") == []


@pytest.mark.agentdb_only("sqlite")
def test_sqlite_has_no_schemas(agentdb_empty_url: str) -> None:
    """The option is refused there by every function, and nothing is made."""
    calls = (migrate.upgrade, migrate.verdict, migrate.current, migrate.check, migrate.pending)
    for call in calls:
        with pytest.raises(ConfigurationError, match="SQLite has no schemas"):
            call(agentdb_empty_url, schema="app")
    assert migrate.current(agentdb_empty_url) is None
