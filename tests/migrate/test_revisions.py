"""Revisions are named by number, by release and by phase."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from agentdb import __version__, migrate
from agentdb.errors import SchemaVersionError
from agentdb.migrate.revisions import resolve
from tests.migrate.later import LaterRelease

HEAD = migrate.heads()[0]


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaterRelease:
    """A release with two more revisions, the second of which takes something away."""
    release = LaterRelease(tmp_path)
    release.add("0901", release="9.0.0")
    release.add("0902_0901", phase="contract", release="9.1.0")
    release.install(monkeypatch)
    return release


def test_the_history_is_linear_and_ends_at_the_head() -> None:
    """Each revision names the one before it."""
    steps = migrate.history()

    assert [step.down_revision for step in steps] == [
        None,
        *(step.revision for step in steps[:-1]),
    ]
    assert migrate.heads() == [steps[-1].revision]
    assert all(step.description for step in steps)


def test_each_revision_tells_its_phase_and_release() -> None:
    """What is shipped says so, and no revision is of a release to come or of an older one."""
    releases = [Version(step.release) for step in migrate.history()]

    assert all(step.phase in {"expand", "contract"} for step in migrate.history())
    assert releases == sorted(releases)
    assert releases[-1] <= Version(__version__)


def test_a_contracting_revision_says_who_can_still_work() -> None:
    """Its number raises the oldest head that works with it, and later ones keep that."""
    oldest = ""
    for step in migrate.history():
        floor = step.revision.partition("_")[2]
        assert floor > oldest if step.phase == "contract" else floor == oldest
        oldest = floor


def test_names_mean_revisions() -> None:
    """A revision, the ends of the line, and versions of the package are understood."""
    assert resolve("0003") == "0003"
    assert resolve("head") == resolve(__version__) == resolve(f"v{__version__}") == HEAD
    assert resolve("base") is None


@pytest.mark.usefixtures("later")
def test_a_version_means_the_newest_revision_that_it_had() -> None:
    """A release without revisions of its own is at those of the release before it."""
    assert resolve("0.1.0") == resolve("8.99") == HEAD
    assert resolve("9.0.0") == resolve("9.0") == "0901"
    assert resolve("10.0") == "0902_0901"


@pytest.mark.parametrize("name", ["", "nonsense", "0.0.1", "16", "head~1", "000", "' OR 1"])
def test_what_means_nothing_is_refused(name: str) -> None:
    """A name that is no revision is an error, never the nearest one."""
    with pytest.raises(SchemaVersionError, match="no revision"):
        resolve(name)


@pytest.mark.usefixtures("later")
def test_the_expanding_phase_stops_before_what_takes_away(agentdb_empty_url: str) -> None:
    """The first phase leaves the database to both releases, the second ends the upgrade."""
    first = migrate.upgrade(agentdb_empty_url, phase="expand")
    assert first[-1].revision == migrate.current(agentdb_empty_url) == "0901"
    assert migrate.upgrade(agentdb_empty_url, phase="expand") == []

    assert [s.revision for s in migrate.pending(agentdb_empty_url)] == ["0902_0901"]
    assert [s.phase for s in migrate.upgrade(agentdb_empty_url, phase="contract")] == ["contract"]
    assert migrate.current(agentdb_empty_url) == "0902_0901"


@pytest.mark.usefixtures("later")
def test_an_upgrade_to_a_version_stops_at_it(agentdb_empty_url: str) -> None:
    """Databases are brought to the schema of a release, and taken back to it."""
    migrate.upgrade(agentdb_empty_url, "9.0.0")
    assert migrate.current(agentdb_empty_url) == "0901"
    assert [s.revision for s in migrate.downgrade(agentdb_empty_url, "0.1.0")] == ["0901"]
    assert migrate.current(agentdb_empty_url) == HEAD


def test_two_lines_of_revisions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation whose files do not fit together is told so before anything runs."""
    release = LaterRelease(tmp_path)
    release.add("0901")
    (release.folder / "versions" / "0005_signup.py").unlink()
    release.install(monkeypatch)

    with pytest.raises(SchemaVersionError, match="one line"):
        migrate.history()


def test_a_script_is_cut_between_two_names() -> None:
    """Only what lies between the ends is written, downwards where the end is older."""
    assert migrate.sql(revision="0002", start="0001").count("CREATE TABLE") == 5
    assert migrate.sql(revision="0001", start="0002").count("DROP TABLE") == 5
    assert "CREATE TABLE" not in migrate.sql(revision=__version__, start="head")


def test_a_script_for_a_schema_names_it_everywhere() -> None:
    """No table or type of the script depends on the search path."""
    script = migrate.sql(schema="app")
    for name in ("users", "agentdb_version", "user_status"):
        assert f"app.{name}" in script
    assert " users" not in script
    assert "'app.agentdb_version'" not in script
