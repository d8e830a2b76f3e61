"""What a host's Alembic proposes beside our tables: the host's changes, and nothing of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from agentdb import migrate
from agentdb.models import Base, TenantAccount
from agentdb.version import VERSION_TABLE
from tests.migrate.hosts import Host, synchronous, with_driver
from tests.schemas import run_sql

SEARCHED = {"options": "-csearch_path=public,app"}

CONFIGURATIONS = [
    (),
    ("with_agentdb=yes",),
    ("include_schemas=yes",),
    ("with_agentdb=yes", "include_schemas=yes"),
]

ASSIGNMENTS = """

class Assignment(Base):
    \"\"\"Who works on what.\"\"\"

    __tablename__ = "assignments"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
"""


@pytest.fixture
def host(tmp_path: Path, agentdb_url: str) -> Host:
    """The host project at its newest revision, on tables of ours in its default schema."""
    made = Host.copied(tmp_path, synchronous(agentdb_url))
    made.upgrade()
    return made


def change(host: Host) -> None:
    """Change the models: a column, a reference to a table of ours, and a table with one."""
    column = """    code: Mapped[str] = mapped_column(String(2), primary_key=True)
"""
    added = """    founder_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id))
"""
    host.edit("planner/models.py", column, column + added)
    members = "    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), primary_key=True)\n"
    host.edit("planner/models.py", members, members + ASSIGNMENTS)


@pytest.mark.parametrize("asked", CONFIGURATIONS, ids=" ".join)
def test_nothing_of_ours_is_proposed(host: Host, asked: tuple[str, ...]) -> None:
    """With and without our metadata in the target, and whatever schemas are looked at."""
    assert replace(host, asked=asked).differences() == []


@pytest.mark.parametrize("asked", CONFIGURATIONS, ids=" ".join)
def test_changes_of_the_host_are_proposed(host: Host, asked: tuple[str, ...]) -> None:
    """Among them references to tables of ours."""
    change(host)

    found = replace(host, asked=asked).differences()

    assert len(found) == 3
    assert "add_table" in found[0]
    assert "assignments" in found[0]
    assert "founder_id" in found[1]
    assert "add_fk" in found[2]


def test_the_filters_are_what_keeps_our_tables_out(host: Host) -> None:
    """Without them a host would be told to drop all of ours."""
    for line in (
        "        include_object=OURS.include_object,\n",
        "        include_name=OURS.include_name,\n",
    ):
        host.edit("migrations/env.py", line, "")

    found = host.differences()

    assert sum("remove_table" in difference for difference in found) == 46 + 1


def test_the_commands_of_a_host_see_the_host_alone(host: Host) -> None:
    """``alembic revision --autogenerate`` writes a revision that refers to our table and works."""
    assert host.command("check").returncode == 0
    change(host)

    made = host.command("revision", "--autogenerate", "--rev-id", "c3", "-m", "assignments")
    assert (made.returncode, made.stderr) == (0, "")
    applied = host.command("upgrade", "head") if "sqlite" not in host.url else None
    written = (host.folder / "migrations/versions/c3_assignments.py").read_text("utf-8")

    assert written.count("op.create_table") == 1
    assert written.count("op.drop") == 3
    assert "['users.id']" in written
    if applied is not None:  # SQLite adds no constraint to a table that is there
        assert applied.returncode == 0, applied.stderr
        assert host.differences() == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("asked", CONFIGURATIONS, ids=" ".join)
def test_a_schema_on_the_search_path_of_the_host_is_left_alone(
    tmp_path: Path, agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    """Where Alembic reports our tables twice: by their schema, and without one."""
    monkeypatch.setenv("AGENTDB_SCHEMA", "app")
    url = with_driver(agentdb_empty_url, "postgresql+psycopg", **SEARCHED)
    host = Host.copied(tmp_path, url, *asked)
    host.upgrade()

    assert migrate.verdict(agentdb_empty_url, schema="app").state == "current"
    assert host.differences() == []
    change(host)
    host.revise("c3")
    host.upgrade()
    assert host.differences() == []
    assert migrate.check(agentdb_empty_url, schema="app") == []


@pytest.mark.agentdb_only("postgres")
def test_a_schema_for_each_is_told_apart(
    tmp_path: Path, agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models name no schema for our tables, the database does: that is no difference."""
    monkeypatch.setenv("AGENTDB_SCHEMA", "app")
    monkeypatch.setenv("PLANNER_SCHEMA", "planner")
    run_sql(agentdb_empty_url, "CREATE SCHEMA planner")
    host = Host.copied(tmp_path, with_driver(agentdb_empty_url, "postgresql+psycopg"))
    host.upgrade()

    assert host.differences() == []
    host.edit("planner/models.py", "(TenantAccount.id, ondelete=", "(TenantAccount.id, onupdate=")
    assert ["remove_fk" in host.differences()[0], len(host.differences())] == [True, 2]
    change(host)
    host.revise("c3")
    host.upgrade()
    assert host.differences() == []
    assert migrate.check(agentdb_empty_url, schema="app") == []


def test_a_table_of_the_host_that_has_one_of_our_names_is_the_hosts() -> None:
    """Ours are in a schema, and the host has users of its own in another."""
    ours = migrate.filters("app")
    database, models = MetaData(), MetaData()
    dropped = Table("users", database, Column("nick", String))
    kept = Table("users", models, Column("nick", String))
    reflected = Base.metadata.tables["users"].to_metadata(database, schema="app")
    searched = Base.metadata.tables["users"].to_metadata(MetaData())

    assert ours.include_object(dropped, "users", "table", True, None)
    assert ours.include_object(kept, "users", "table", False, None)
    assert not ours.include_object(reflected, "users", "table", True, None)
    assert not ours.include_object(searched, "users", "table", True, None)
    assert ours.include_name("users", "table", {"schema_name": None})
    assert not ours.include_name("users", "table", {"schema_name": "app"})


def test_a_version_table_is_ours_where_our_tables_are() -> None:
    """Also where the search path hides the schema."""
    hidden = Table(VERSION_TABLE, MetaData(), Column("version_num", String))

    assert not migrate.filters("app").include_object(hidden, VERSION_TABLE, "table", True, None)
    assert not migrate.include_object(hidden, VERSION_TABLE, "table", True, None)
    assert not migrate.include_name(VERSION_TABLE, "table", {"schema_name": None})


def test_what_is_no_table_is_the_hosts() -> None:
    """Schemas, columns and indexes are looked at: ours went with their tables."""
    column = Column("slug", Integer)

    assert migrate.include_object(column, "slug", "column", True, None)
    assert migrate.include_name("app", "schema", {})
    assert migrate.include_name("users", "column", {"schema_name": None, "table_name": "projects"})


@pytest.mark.parametrize(
    ("target", "deferrable", "proposed"),
    [
        ("app.tenant_accounts.id", None, False),
        ("app.tenant_accounts.id", True, True),
        ("app.tenant_accounts.slug", None, True),
        ("app.users.id", None, True),
        ("other.tenant_accounts.id", None, True),
    ],
)
def test_references_differ_by_more_than_the_schema(
    target: str, deferrable: bool | None, proposed: bool
) -> None:
    """A reference that changed otherwise is proposed."""
    place = target.split(".")
    found, models = MetaData(), MetaData()
    Table(place[1], found, Column(place[2], Integer), schema=place[0])
    stored = Table(
        "projects", found, Column("tenant_id", Integer, ForeignKey(target, deferrable=deferrable))
    )
    wanted = Table("projects", models, Column("tenant_id", Integer, ForeignKey(TenantAccount.id)))
    one, other = (next(iter(t.foreign_key_constraints)) for t in (stored, wanted))
    ours = migrate.filters("app")

    assert ours.include_object(one, "fk", "foreign_key_constraint", True, other) is proposed
    assert ours.include_object(other, "fk", "foreign_key_constraint", False, one) is proposed
    assert ours.include_object(one, "fk", "foreign_key_constraint", True, None)
