"""A host whose own revision brings our tables up, run by its own Alembic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.errors import ConfigurationError
from agentdb.models import Base
from agentdb.version import VERSION_TABLE
from tests.migrate.hosts import (
    PROJECTS,
    Host,
    asynchronous,
    synchronous,
    tables_of,
    version_of_host,
    with_driver,
)
from tests.schemas import run_sql

OURS = {VERSION_TABLE, *Base.metadata.tables}
HEAD = migrate.heads()[0]


@pytest.fixture(params=[synchronous, asynchronous], ids=lambda driver: driver.__name__)
def host(request: pytest.FixtureRequest, tmp_path: Path, agentdb_empty_url: str) -> Host:
    """The host project on an empty database, with each kind of driver."""
    driver: Callable[[str], str] = request.param
    return Host.copied(tmp_path, driver(agentdb_empty_url))


def break_revision(host: Host) -> None:
    """Make the host's revision fail at its end."""
    end = "\n\n\ndef downgrade"
    host.edit("migrations/versions/b2_projects.py", end, f"\n    1 / 0{end}")


def test_one_command_brings_both_up(host: Host, agentdb_empty_url: str) -> None:
    """The host's tables refer to ours, each history has its own version, and nothing is left."""
    host.upgrade()

    assert tables_of(agentdb_empty_url) == OURS | PROJECTS | {"alembic_version"}
    assert (migrate.current(agentdb_empty_url), version_of_host(agentdb_empty_url)) == (HEAD, "b2")
    assert migrate.check(agentdb_empty_url) == []
    assert host.differences() == []
    host.upgrade()
    assert migrate.upgrade(agentdb_empty_url) == []


def test_a_failure_takes_everything_back(host: Host, agentdb_empty_url: str) -> None:
    """Both version tables are as before, and no table of ours is there."""
    host.upgrade("a1")
    break_revision(host)

    with pytest.raises(ZeroDivisionError):
        host.upgrade()

    assert tables_of(agentdb_empty_url) == {"countries", "alembic_version"}
    assert version_of_host(agentdb_empty_url) == "a1"
    assert migrate.verdict(agentdb_empty_url).state == "behind"


def test_a_failure_leaves_an_older_schema_at_its_revision(
    host: Host, agentdb_empty_url: str
) -> None:
    """What was brought up before stays, and no more."""
    migrate.upgrade(agentdb_empty_url, "0005")
    host.upgrade("a1")
    before = tables_of(agentdb_empty_url)
    break_revision(host)

    with pytest.raises(ZeroDivisionError):
        host.upgrade()

    assert tables_of(agentdb_empty_url) == before
    assert migrate.current(agentdb_empty_url) == "0005"


def test_a_database_that_was_upgraded_before_is_left_as_it_is(
    host: Host, agentdb_empty_url: str
) -> None:
    """Deployments that run ``agentdb upgrade`` first run the same revision of the host."""
    migrate.upgrade(agentdb_empty_url)
    host.upgrade()

    assert version_of_host(agentdb_empty_url) == "b2"
    assert migrate.current(agentdb_empty_url) == HEAD


def test_a_downgrade_of_the_host_leaves_our_tables(host: Host, agentdb_empty_url: str) -> None:
    """And its revision can be applied again."""
    host.upgrade()
    host.downgrade("a1")

    assert tables_of(agentdb_empty_url) == OURS | {"countries", "alembic_version"}
    assert migrate.current(agentdb_empty_url) == HEAD
    host.upgrade()
    host.downgrade("base")
    assert tables_of(agentdb_empty_url) == OURS | {"alembic_version"}
    assert migrate.verdict(agentdb_empty_url).state == "current"


def test_a_script_is_refused(host: Host) -> None:
    """It cannot know which of our revisions the database has."""
    with pytest.raises(ConfigurationError, match="agentdb sql"):
        host.upgrade("a1:b2", sql=True)


@pytest.mark.agentdb_only("sqlite")
def test_the_driver_of_sqlite_has_to_begin(host: Host, agentdb_empty_url: str) -> None:
    """It begins nothing before DDL by itself: refused before the first table."""
    host.edit("migrations/env.py", "    begin_for_real(engine)\n", "")
    host.edit("migrations/env.py", "    begin_for_real(engine.sync_engine)\n", "")

    with pytest.raises(ConfigurationError, match="no transaction open"):
        host.upgrade()

    assert not tables_of(agentdb_empty_url) & OURS


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("apart", [False, True], ids=["searched", "apart"])
def test_our_tables_come_into_a_schema_of_their_own(
    host: Host, agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """It is made in the transaction too; the host's tables stay where the host wants them."""
    monkeypatch.setenv("AGENTDB_SCHEMA", "app")
    if apart:
        monkeypatch.setenv("PLANNER_SCHEMA", "planner")
        run_sql(agentdb_empty_url, "CREATE SCHEMA planner")
    else:
        driver, _, _ = host.url.partition("://")
        path = {"options": "-csearch_path=public,app"}
        host = replace(host, url=with_driver(host.url, driver, **path))

    host.upgrade()

    own = "planner" if apart else "public"
    assert tables_of(agentdb_empty_url, "app") == OURS
    assert tables_of(agentdb_empty_url, own) == PROJECTS | {"alembic_version"}
    assert migrate.check(agentdb_empty_url, schema="app") == []
    host.downgrade("base")
    assert tables_of(agentdb_empty_url, "app") == OURS
    assert migrate.verdict(agentdb_empty_url, schema="app").state == "current"


@pytest.mark.agentdb_only("postgres")
def test_a_failure_takes_the_schema_back(
    host: Host, agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the tables in it."""
    monkeypatch.setenv("AGENTDB_SCHEMA", "app")
    url = with_driver(host.url, host.url.partition("://")[0], options="-csearch_path=public,app")
    host = replace(host, url=url)
    break_revision(host)

    with pytest.raises(ZeroDivisionError):
        host.upgrade()

    assert run_sql(agentdb_empty_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'app'") == []
    assert tables_of(agentdb_empty_url) == set()
