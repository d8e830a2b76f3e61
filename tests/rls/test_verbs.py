"""Every verb of every repository does under row-level security what it does without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from agentdb.database import Database
from agentdb.errors import AgentDBError
from agentdb.testing import RoleUrls, Template, under_policies
from tests.rows import MODELS, Rows
from tests.tenancy.test_isolation import calls_of, result_of
from tests.tenancy.verbs import is_nothing
from tests.tenancy.worlds import World, build, unit_of

pytestmark = [
    pytest.mark.agentdb_only("postgres"),
    pytest.mark.asyncio(loop_scope="session"),
]
session_fixture = pytest_asyncio.fixture(scope="module", loop_scope="session")


@pytest.fixture(scope="module")
def policed(agentdb_template: Template) -> Iterator[tuple[World, RoleUrls]]:
    """Two tenants with a row in every table, under policies."""
    url = agentdb_template.clone()
    world = build(url, alone=False)
    with under_policies(url) as urls:
        yield world, urls
    agentdb_template.drop(url)


@session_fixture
async def databases(policed: tuple[World, RoleUrls]) -> AsyncIterator[tuple[Database, Database]]:
    """The same database, by a role that passes the policies and by roles of a service."""
    _, urls = policed
    async with (
        Database(urls.superuser) as passing,
        Database(urls.app, platform_url=urls.platform) as bound,
    ):
        yield passing, bound


def summary(result: Any) -> str:
    """Return what became of a call, without the ids and times that differ."""
    if isinstance(result, AgentDBError):
        return repr(result)
    return "nothing" if is_nothing(result) else f"some {type(result).__name__}"


async def outcomes(database: Database, table: str, rows: Rows, tenant: Any) -> dict[str, str]:
    """Call each verb of a table in a unit of the tenant, as if it were the only one."""
    found: dict[str, str] = {}
    async with unit_of(database, tenant=tenant) as unit:
        for call in calls_of(unit, table, rows):
            async with unit.session.begin_nested() as savepoint:
                found[str(call)] = summary(await result_of(unit, table, call))
                await savepoint.rollback()
            unit.session.expunge_all()
    return found


@pytest.mark.parametrize("table", MODELS)
@pytest.mark.parametrize("whose", ["own", "foreign"])
async def test_a_verb_does_what_it_does_without_policies(
    policed: tuple[World, RoleUrls], databases: tuple[Database, Database], table: str, whose: str
) -> None:
    """With own rows as with those of another tenant: the same results, the same errors."""
    world, _ = policed
    rows = world.beta if whose == "own" else world.alpha
    tenant = world.beta["tenant_accounts"].id

    passing, bound = [await outcomes(d, table, rows, tenant) for d in databases]

    assert bound == passing
    assert passing
