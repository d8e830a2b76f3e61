"""Over all repositories and every verb, as they are found: what a tenant can do to another.

A new verb is called by itself. Where no argument is known for one of its parameters, the tests of
its table fail and say where to add it.
"""

from __future__ import annotations

from typing import Any

import pytest

from agentdb.database import Database
from agentdb.errors import (
    AgentDBError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.orm import TenancyClass
from agentdb.tenants.repository import TenantAccountRepository
from agentdb.testing import capture_statements
from agentdb.testing.shown import shown
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS, Rows, key_of, rows_of
from tests.tenancy.verbs import Call, calls, is_nothing
from tests.tenancy.worlds import World, foreign_changes, leaks, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRITES = {"add", "add_many", "delete", "put", "sync_catalogue", "update", "upsert"}
MAKES = {
    "agent_conversations.get_or_create",
    "activity_events.record",
    "containers.create",
    "conversation_run_queue_items.claim",
    "status_subscriptions.subscribe",
    "storage_buckets.get_or_create",
    "tenant_settings.patch_flags",
    "tenant_settings.put",
    "tenant_user_memberships.grant",
    "vector_stores.claim_for_sync",
    "vector_stores.create",
    "vector_stores.reserve",
}
"""Verbs that make or take an own row, whatever rows another tenant has."""
QUIET = {
    "add_many",
    "cancel_all",
    "place",
    "failures_since_success",
    "sole_owner_tenants",
    "processed",
    "recipients",
}
"""Verbs whose answer about an own row may be none: nothing waits, nothing comes before, nobody is
alone, has failed or is verified."""
SHARED = [n for n, m in MODELS.items() if m.__tenancy__.kind is TenancyClass.SHARED]
CONFINED = [name for name in MODELS if name not in SHARED]
UNOWNED = [n for n, m in MODELS.items() if m.__tenancy__.kind is TenancyClass.OPTIONAL]


def calls_of(unit: UnitOfWork, table: str, rows: Rows) -> list[Call]:
    """Return the calls of all verbs of a table with arguments that lead to *rows*."""
    return list(calls(getattr(unit, table), rows))


async def result_of(unit: UnitOfWork, table: str, call: Call) -> Any:
    """Return what a verb returns, or the error that it raises."""
    try:
        return await call.on(unit, table)
    except AgentDBError as error:
        return error


def told(result: Any) -> str:
    """Return all that the caller of a verb learns."""
    return repr(result) if isinstance(result, AgentDBError) else shown(result)


async def answers(unit: UnitOfWork, table: str, rows: Rows) -> dict[Call, Any]:
    """Call every verb with values of *rows*, and return the results."""
    found = [
        c for c in calls_of(unit, table, rows) if c.names_row and f"{table}.{c.verb}" not in MAKES
    ]
    return {call: await result_of(unit, table, call) for call in found}


async def attack(
    world: World, database: Database, table: str, rows: Rows
) -> tuple[dict[Call, Any], list[str]]:
    """Call every verb in a unit of beta with values of *rows*; return results and changes."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        results = await answers(unit, table, rows)
        return results, await foreign_changes(world, unit)


def successes(results: dict[Call, Any]) -> dict[str, str]:
    """Return what has found or done something, or was refused in another way than it should."""
    return {
        str(call): told(result)
        for call, result in results.items()
        if not isinstance(result, TenantMismatchError if call.names_tenant else AgentDBError)
        and not is_nothing(result)
    }


@pytest.mark.parametrize("table", CONFINED)
async def test_no_verb_reaches_a_row_of_another_tenant(
    world: World, database: Database, table: str
) -> None:
    """Reads find nothing, writes are refused or do nothing, and all tables are as they were.

    Every verb answers as it does for keys that nobody has: the same result, the same error.
    """
    nobody = rows_of("nobody")
    if key_of(nobody[table]) is None:
        nobody[table].id = 10**9
    results, changes = await attack(world, database, table, world.alpha)
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        without = await answers(unit, table, nobody)

    assert successes(results) == {}
    assert changes == []
    assert [told(result) for result in without.values()] == [told(r) for r in results.values()]


@pytest.mark.parametrize("table", UNOWNED)
async def test_no_verb_reaches_a_row_of_nobody(
    world: World, database: Database, table: str
) -> None:
    """Rows without a tenant belong to system units, as long as they are about strangers."""
    rows = {**world.alpha, table: world.unowned[table]}
    results, changes = await attack(world, database, table, rows)

    assert successes(results) == {}
    assert changes == []


@pytest.mark.parametrize("table", CONFINED)
async def test_reads_without_a_condition_show_the_own_rows(
    world: World, database: Database, database_alone: Database, table: str
) -> None:
    """``all()``, ``count()`` and their like answer as if there were no other tenant."""
    answers: list[dict[str, str]] = []
    for chosen in (database_alone, database):
        async with unit_of(chosen, tenant=world.beta["tenant_accounts"].id) as unit:
            found = [c for c in calls_of(unit, table, world.beta) if not c.names_row]
            answers.append({str(c): told(await result_of(unit, table, c)) for c in found})

    assert answers[0] == answers[1]
    assert leaks(world, "".join(answers[1].values())) == []


async def test_a_verb_without_known_arguments_fails(database: Database) -> None:
    """Whoever adds a verb is told where its arguments are made."""

    class Repository(TenantAccountRepository):
        async def call(self, nickname: str) -> None:
            """Take an argument that no row has."""

    async with unit_of(database, system="a test") as unit:
        with pytest.raises(AssertionError, match=r"`nickname` of `tenant_accounts\.call`: add"):
            list(calls(Repository(unit), rows_of("alpha")))


async def test_a_key_of_another_tenant_is_free_for_a_row_of_the_own(
    world: World, database: Database
) -> None:
    """Each tenant has its own space of conversation keys."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        key = world.alpha["agent_conversations"].external_key
        made, created = await unit.agent_conversations.get_or_create(key, "agent")

        assert created
        assert world.beta["tenant_accounts"].id == made.tenant_id
        assert [f"agent_conversations {(made.id,)}"] == await foreign_changes(world, unit)


@pytest.mark.parametrize("table", SHARED)
async def test_the_catalogue_is_read_by_all_and_written_by_none(
    world: World, database: Database, table: str
) -> None:
    """Tenants see plans and their features; only system units write them, or lock them."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        results = {
            str(call): (
                call.verb in WRITES or "lock" in str(call),
                await result_of(unit, table, call),
            )
            for call in calls_of(unit, table, world.alpha)
            if call.names_row
        }
        changes = await foreign_changes(world, unit)

    written = {call: result for call, (writes, result) in results.items() if writes}
    read = {call: result for call, (writes, result) in results.items() if not writes}
    assert {PermissionDeniedError} == {type(result) for result in written.values()}
    assert [call for call, result in read.items() if is_nothing(result)] == []
    assert [call for call, result in read.items() if isinstance(result, AgentDBError)] == []
    assert changes == []


@pytest.mark.parametrize("table", CONFINED)
async def test_without_a_tenant_every_verb_is_refused_before_it_sends_anything(
    world: World, database: Database, table: str
) -> None:
    """A unit that has neither tenant nor reason is a mistake that must not reach the database."""
    async with unit_of(database) as unit:
        found = calls_of(unit, table, world.alpha)
        with capture_statements(unit) as sent:
            results = {str(call): (call, await result_of(unit, table, call)) for call in found}

        assert sent == []
        assert {
            name: result
            for name, (call, result) in results.items()
            if not isinstance(result, AgentDBError if call.refuses else TenantRequiredError)
        } == {}


@pytest.mark.parametrize("table", MODELS)
async def test_a_system_unit_reaches_the_rows_of_every_tenant(
    world: World, database: Database, table: str
) -> None:
    """With a reason for it, the same arguments lead to the rows: no other test is vacuous."""
    missed: dict[str, str] = {}
    async with unit_of(database, system="a test") as unit:
        for call in calls_of(unit, table, world.alpha):
            if call.refuses or (call.takes_tenant and not call.names_tenant):
                continue
            async with unit.session.begin_nested() as savepoint:
                result = await result_of(unit, table, call)
                await savepoint.rollback()
            unit.session.expunge_all()
            lost = (NotFoundError, TenantRequiredError, TenantMismatchError)
            if isinstance(result, lost) or (is_nothing(result) and call.verb not in QUIET):
                missed[str(call)] = told(result)

    assert missed == {}
