"""Two tenants with a row in every table, stored once for each backend; the tests roll back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from agentdb.database import Database
from agentdb.testing import Template, under_policies
from tests.tenancy.worlds import World, build

session_fixture = pytest_asyncio.fixture(scope="session", loop_scope="session")


@pytest.fixture(scope="session")
def world(agentdb_template: Template) -> Iterator[World]:
    """Tenants ``alpha`` and ``beta``, rows of nobody, and a person who belongs to both."""
    url = agentdb_template.clone()
    yield build(url, alone=False)
    agentdb_template.drop(url)


@pytest.fixture(scope="session")
def alone(agentdb_template: Template) -> Iterator[World]:
    """The same world, had there never been a tenant but ``beta``."""
    url = agentdb_template.clone()
    yield build(url, alone=True)
    agentdb_template.drop(url)


@session_fixture
async def database(world: World) -> AsyncIterator[Database]:
    """The database of `world`."""
    async with Database(world.url) as database:
        yield database


@session_fixture
async def policed(agentdb_template: Template) -> AsyncIterator[Database]:
    """The same world under row-level security, by its roles; PostgreSQL only."""
    url = agentdb_template.clone()
    build(url, alone=False)
    with under_policies(url) as urls:
        async with Database(urls.app, platform_url=urls.platform) as database:
            yield database
    agentdb_template.drop(url)


@session_fixture
async def database_alone(alone: World) -> AsyncIterator[Database]:
    """The database of `alone`."""
    async with Database(alone.url) as database:
        yield database
