"""The standard checks of a host's migrations pass for a good project and find what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from agentdb import migrate
from agentdb.migrate.connections import connected
from agentdb.testing.migrations import (
    CHECKS,
    Check,
    HostMigrations,
    goes_down,
    goes_up,
    models_match,
    single_head,
)
from tests.migrate.hosts import Host

VERSIONS = "migrations/versions"


@pytest.fixture
def project(
    tmp_path: Path, agentdb_empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    """A copy of the host's project, whose modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield Host.copied(tmp_path, agentdb_empty_url)
    for name in [name for name in sys.modules if name.partition(".")[0] == "planner"]:
        del sys.modules[name]


def checked(project: Host, *, inside: bool = True) -> HostMigrations:
    """Return the project as the checks take it."""
    return HostMigrations(project.folder / "alembic.ini", project.url, inside=inside)


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "before"])
@pytest.mark.parametrize("check", CHECKS)
def test_a_good_project_passes(project: Host, check: Check, inside: bool) -> None:
    """Each check holds, whoever brings our tables up."""
    check(checked(project, inside=inside))


def test_an_asynchronous_project_passes(project: Host) -> None:
    """A host whose environment runs an event loop names its driver."""
    driver = "sqlite+aiosqlite" if "sqlite" in project.url else "postgresql+psycopg_async"
    host = HostMigrations(project.folder / "alembic.ini", project.url, inside=True, driver=driver)
    models_match(host)


def test_two_heads_are_found(project: Host) -> None:
    """A second line of revisions is named."""
    file = project.folder / VERSIONS / "b2_projects.py"
    other = file.read_text("utf-8").replace('revision = "b2"', 'revision = "b9"', 1)
    (project.folder / VERSIONS / "b9_other.py").write_text(other, "utf-8")

    with pytest.raises(AssertionError, match="several heads: b2, b9"):
        single_head(checked(project))


def test_a_revision_that_fails_is_found(project: Host) -> None:
    """What stops the upgrade is raised as it is."""
    project.edit(
        f"{VERSIONS}/a1_countries.py", "    op.create_table(", "    1 / 0\n    op.create_table("
    )

    with pytest.raises(ZeroDivisionError):
        goes_up(checked(project))


def test_a_downgrade_that_leaves_a_table_is_found(project: Host) -> None:
    """A table that stays behind is named."""
    project.edit(
        f"{VERSIONS}/b2_projects.py",
        '    op.drop_table("project_members", schema=PLANNER_SCHEMA)\n    op.drop_table("projects"',
        '    op.drop_table("project_members"',
    )

    with pytest.raises(AssertionError, match="leaves projects"):
        goes_down(checked(project))


def test_a_model_without_a_revision_is_found(project: Host) -> None:
    """A column that no revision makes is a difference."""
    project.edit(
        f"{VERSIONS}/b2_projects.py",
        '        sa.Column("name", sa.String(80), nullable=False),\n',
        "",
    )

    with pytest.raises(AssertionError, match=r"differ:\n.*add_column.*name"):
        models_match(checked(project))


def test_a_host_that_changes_our_tables_is_found(project: Host) -> None:
    """Ours are not the host's to change: its revision is named by what it did."""
    host = checked(project)
    host.up()
    with connected(project.url) as connection, connection.begin():
        connection.execute(text("DROP INDEX ix_users_status"))

    with pytest.raises(AssertionError, match=r"our tables were changed:\n.*ix_users_status"):
        models_match(host)
    assert migrate.current(project.url) == migrate.heads()[0]
