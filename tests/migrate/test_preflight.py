"""What a server or a role lacks is told in one sentence, with the GRANT, and nothing is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from agentdb import migrate
from agentdb.errors import ConfigurationError, PermissionDeniedError

pytestmark = pytest.mark.agentdb_only("postgres")


class Role:
    """A role without rights on a database, and the owner who gives them."""

    def __init__(self, url: str) -> None:
        self.name = f"app_{uuid4().hex[:12]}"
        self._url = url
        self.execute("CREATE ROLE {} LOGIN")
        self.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        # A role may create schemas and extensions in a database only where it is told so.
        self.execute("REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC")

    @property
    def url(self) -> str:
        """The database, as the role."""
        return make_url(self._url).set(username=self.name).render_as_string(hide_password=False)

    def execute(self, statement: LiteralString) -> None:
        """Run a statement as the owner, with the role for ``{}``."""
        names = {"database": sql.Identifier(str(make_url(self._url).database))}
        with psycopg.connect(self._url, autocommit=True) as connection:
            command = sql.SQL(statement).format(sql.Identifier(self.name), **names)
            connection.execute(command)

    def drop(self) -> None:
        """Delete the role and what it owns."""
        self.execute("DROP OWNED BY {} CASCADE")
        self.execute("DROP ROLE {}")


@pytest.fixture
def role(agentdb_empty_url: str) -> Iterator[Role]:
    """A role that may connect to an empty database, and no more."""
    role = Role(agentdb_empty_url)
    yield role
    role.drop()


def tables(url: str) -> list[str]:
    """Return the tables of a database, with their schemas."""
    query = (
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute(query)]


def refused(role: Role, *grants: str, schema: str | None = None) -> None:
    """Require a refusal that holds the grant, and nothing made."""
    with pytest.raises(PermissionDeniedError) as refusal:
        migrate.upgrade(role.url, schema=schema)
    for grant in grants:
        assert grant.format(role=role.name) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert tables(role.url) == []


def test_an_extension_that_the_role_may_not_install(role: Role) -> None:
    """A trusted extension needs CREATE on the database: the sentence says so."""
    refused(role, "citext", "GRANT CREATE ON DATABASE", "TO {role}")


def test_a_schema_that_the_role_may_not_write_to(role: Role) -> None:
    """The extension is there, the right to make tables is not."""
    role.execute("CREATE EXTENSION citext")
    role.execute("GRANT USAGE ON SCHEMA public TO {}")
    refused(role, "GRANT USAGE, CREATE ON SCHEMA", "public", "TO {role}", schema="public")


def test_a_schema_that_the_role_may_not_make(role: Role) -> None:
    """A missing schema needs CREATE on the database."""
    role.execute("CREATE EXTENSION citext")
    role.execute("GRANT USAGE ON SCHEMA public TO {}")
    refused(role, "make the schema", "GRANT CREATE ON DATABASE", schema="app")


def test_an_extension_that_the_role_may_not_use(role: Role) -> None:
    """The schema of the extension has to be open to the role, wherever its own tables lie."""
    role.execute("CREATE SCHEMA extensions")
    role.execute("CREATE EXTENSION citext SCHEMA extensions")
    role.execute("CREATE SCHEMA app AUTHORIZATION {}")
    refused(role, "GRANT USAGE ON SCHEMA extensions TO {role}", schema="app")


def test_the_grants_of_the_sentences_are_enough(role: Role) -> None:
    """After what was asked for is given, the upgrade runs: on its own schema, and on public."""
    role.execute("GRANT CREATE ON DATABASE {database} TO {}")
    role.execute("GRANT USAGE ON SCHEMA public TO {}")
    migrate.upgrade(role.url, schema="app")
    role.execute("GRANT USAGE, CREATE ON SCHEMA public TO {}")
    migrate.upgrade(role.url)

    assert len(tables(role.url)) == 2 * 47


def test_a_schema_that_is_there_needs_no_right_to_make_one(role: Role) -> None:
    """An operator made schema and extension; the role needs its rights in the schema alone."""
    role.execute("CREATE EXTENSION citext SCHEMA public")
    role.execute("GRANT USAGE ON SCHEMA public TO {}")
    role.execute("CREATE SCHEMA app AUTHORIZATION {}")
    migrate.upgrade(role.url, schema="app")

    assert {name.partition(".")[0] for name in tables(role.url)} == {"app"}
    assert migrate.require_current(role.url, schema="app").safe


def test_an_extension_in_a_quoted_schema_is_found(role: Role) -> None:
    """The name of its schema may need quotes, in the search for it and in the GRANT."""
    role.execute('CREATE SCHEMA "My Extensions"')
    role.execute('CREATE EXTENSION citext SCHEMA "My Extensions"')
    role.execute("CREATE SCHEMA app AUTHORIZATION {}")
    refused(role, 'GRANT USAGE ON SCHEMA "My Extensions" TO {role}', schema="app")


def test_without_a_named_schema_public_is_not_needed(role: Role) -> None:
    """The extension goes where the tables go, to the first schema of the search path."""
    role.execute("GRANT CREATE ON DATABASE {database} TO {}")
    role.execute("CREATE SCHEMA app AUTHORIZATION {}")
    role.execute("ALTER ROLE {} IN DATABASE {database} SET search_path = app")
    migrate.upgrade(role.url)

    assert {name.partition(".")[0] for name in tables(role.url)} == {"app"}


def test_a_database_without_public_needs_the_extension_first(role: Role) -> None:
    """A named schema has no place for what all schemas share: the sentence says what to run."""
    role.execute("GRANT CREATE ON DATABASE {database} TO {}")
    role.execute("DROP SCHEMA public")
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION citext"):
        migrate.upgrade(role.url, schema="app")
    role.execute("CREATE SCHEMA extensions")
    role.execute("CREATE EXTENSION citext SCHEMA extensions")
    role.execute("GRANT USAGE ON SCHEMA extensions TO {}")
    migrate.upgrade(role.url, schema="app")

    assert migrate.require_current(role.url, schema="app").safe


def test_tables_of_another_owner_are_named(role: Role, agentdb_empty_url: str) -> None:
    """ALTER TABLE needs the owner: the sentence names the table and the role to be granted."""
    migrate.upgrade(agentdb_empty_url, "0003")
    role.execute("GRANT USAGE, CREATE ON SCHEMA public TO {}")
    role.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}")
    with pytest.raises(PermissionDeniedError, match=r"change the table .*GRANT postgres TO"):
        migrate.upgrade(role.url)

    assert migrate.current(agentdb_empty_url) == "0003"


def test_a_server_without_citext_is_refused(
    agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extension cannot be had, the package to install is named."""
    statement = migrate.preflight._RIGHTS
    monkeypatch.setattr(
        migrate.preflight, "_RIGHTS", type(statement)(str(statement).replace("'citext'", "'none'"))
    )
    with pytest.raises(ConfigurationError, match="contrib"):
        migrate.upgrade(agentdb_empty_url)

    assert tables(agentdb_empty_url) == []


def test_a_database_without_unicode_is_refused(agentdb_empty_url: str) -> None:
    """In another encoding some text could not be stored, and SQL_ASCII checks nothing."""
    url = make_url(agentdb_empty_url).set(database=f"ascii_{uuid4().hex[:12]}")
    with psycopg.connect(agentdb_empty_url, autocommit=True) as connection:
        name = sql.Identifier(str(url.database))
        create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
        connection.execute(sql.SQL(create).format(name))
        with pytest.raises(ConfigurationError, match="SQL_ASCII"):
            migrate.upgrade(url)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_a_search_path_without_a_schema_is_refused(agentdb_empty_url: str) -> None:
    """Tables would have no place: the sentence says how to name one."""
    url = make_url(agentdb_empty_url).update_query_dict({"options": "-csearch_path=nowhere"})
    with pytest.raises(ConfigurationError, match="--schema"):
        migrate.upgrade(url)
