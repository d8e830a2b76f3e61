"""``--agentdb-reuse`` in a project of a host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdb.testing.folders import ScratchFolder
from agentdb.testing.reuse import fingerprint

# What is kept goes into a folder of the test; its path is short enough for a socket.
CONFTEST = """
    from pathlib import Path
    from agentdb.testing import reuse
    reuse.scratch_parent = lambda: Path({folder!r})
"""
TESTS = """
    from sqlalchemy import text

    def test_a_row(agentdb_sync_connection, agentdb_tenant):
        found = agentdb_sync_connection.execute(text("SELECT count(*) FROM tenant_accounts"))
        assert found.scalar_one() == 1
"""
QUIET = ["-q", "-W", "error", "-p", "no:pytest_alembic", "-p", "no:randomly"]
RUNNER = ["-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the project keeps things."""
    scratch = ScratchFolder()
    scratch.path.chmod(0o755)
    yield scratch.path
    scratch.delete()


@pytest.fixture
def project(
    pytester: pytest.Pytester, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A project whose tests use a database."""
    monkeypatch.delenv("AGENTDB_TEST_DATABASE_URL", raising=False)
    pytester.makeconftest(CONFTEST.format(folder=str(folder)))
    pytester.makepyfile(TESTS)
    return pytester


def kept(folder: Path) -> set[str]:
    """Return what is kept, by its first two names."""
    parent = next(folder.iterdir(), folder)
    return {found.name for found in parent.iterdir()}


@pytest.mark.parametrize("how", ["option", "setting"])
def test_two_sessions_share_server_and_templates(
    project: pytest.Pytester, folder: Path, how: str
) -> None:
    """Both sessions pass on both backends, and what the first made is there for the second."""
    chosen = ["--agentdb-reuse"] if how == "option" else ["-o", "agentdb_reuse=true"]
    for _ in range(2):
        result = project.runpytest_subprocess(*QUIET, *RUNNER, *chosen)
        result.assert_outcomes(passed=2)
        assert kept(folder) == {"sqlite", "postgresql"}

    assert [file.stem for file in folder.rglob("*.sqlite3")] == [fingerprint()]


def test_nothing_is_kept_unless_asked(project: pytest.Pytester, folder: Path) -> None:
    """By default a session leaves nothing behind."""
    project.runpytest_subprocess(*QUIET, *RUNNER).assert_outcomes(passed=2)

    assert kept(folder) == set()
