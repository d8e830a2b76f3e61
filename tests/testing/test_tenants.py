from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select
from sqlalchemy.schema import CreateTable

from agentdb.database import Database
from agentdb.errors import ConfigurationError
from agentdb.models import AgentConversation, TenantAccount
from agentdb.testing import TenantCase, assert_tenant_isolated
from tests.testing.leaky import CORRECT, LEAKY, Function, by_session


@pytest.mark.parametrize("function", CORRECT.values(), ids=CORRECT)
async def test_a_function_that_keeps_tenants_apart_passes(
    agentdb_database: Database, function: Function
) -> None:
    """Whether it takes a unit, a database or a session, reads or writes, returns or raises."""
    await assert_tenant_isolated(function, database=agentdb_database)


@pytest.mark.parametrize(("function", "finding"), LEAKY.values(), ids=LEAKY)
async def test_every_leak_is_found(
    agentdb_database: Database, function: Function, finding: str
) -> None:
    """The failure says what passed between the tenants."""
    with pytest.raises(AssertionError, match="the tenants are not isolated") as caught:
        await assert_tenant_isolated(function, database=agentdb_database)

    assert finding in str(caught.value)


async def test_everything_is_undone(agentdb_database: Database) -> None:
    """Neither the sample rows nor what the function commits is left."""
    await assert_tenant_isolated(CORRECT["append"], database=agentdb_database)

    async with agentdb_database.read(reason="test") as unit:
        assert await unit.tenant_accounts.count() == 0
        assert await unit.agent_messages.count() == 0


async def test_a_function_that_fails_on_its_own_rows_is_no_success(
    agentdb_database: Database,
) -> None:
    """Its error is raised as it is: otherwise a mistake in the test would pass."""

    async def broken(_: TenantCase) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await assert_tenant_isolated(broken, database=agentdb_database)


async def test_what_is_random_cannot_be_compared(agentdb_database: Database) -> None:
    """New keys may differ from call to call, other things may not."""
    await assert_tenant_isolated(lambda _: uuid4(), database=agentdb_database)
    with pytest.raises(ConfigurationError, match="random"):
        await assert_tenant_isolated(lambda _: uuid4().hex[:8], database=agentdb_database)


@pytest.mark.agentdb_commits
async def test_a_database_that_commits_is_refused(agentdb_database: Database) -> None:
    """Nothing could be undone there."""
    with pytest.raises(ConfigurationError, match="agentdb_commits"):
        await assert_tenant_isolated(by_session, database=agentdb_database)


NOTES = Table(
    "host_notes",
    MetaData(),
    Column("body", String(64), primary_key=True),
    Column("tenant", String(36)),
)


@pytest.mark.parametrize("leaks", [False, True])
async def test_tables_of_the_host_are_watched(agentdb_database: Database, *, leaks: bool) -> None:
    """Their rows are stored by the host for each tenant, and belong to it."""
    async with agentdb_database.engine.begin() as connection:
        await connection.execute(CreateTable(NOTES))

    async def prepare(case: TenantCase) -> None:
        key = case.row(AgentConversation).id
        row = {"body": f"note of {key}", "tenant": str(case.tenant)}
        await case.session.execute(insert(NOTES).values(row))

    async def notes(case: TenantCase) -> list[str]:
        query = select(NOTES.c.body)
        if not leaks:
            query = query.where(NOTES.c.tenant == str(case.tenant))
        return list(await case.session.scalars(query))

    async def rename(case: TenantCase) -> None:
        where = NOTES.c.tenant == str(case.row(TenantAccount).id)
        if not leaks:
            where &= NOTES.c.tenant == str(case.tenant)
        await case.session.execute(NOTES.update().where(where).values(tenant="gone"))

    for function in (notes, rename):
        checked = assert_tenant_isolated(
            function, database=agentdb_database, prepare=prepare, tables=[NOTES]
        )
        if leaks:
            with pytest.raises(AssertionError, match="not isolated"):
                await checked
        else:
            await checked
