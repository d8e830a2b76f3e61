"""One argument of a verb leads to another tenant, and all others to rows of the own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from agentdb import operations
from agentdb.database import Database
from agentdb.errors import PermissionDeniedError
from agentdb.orm import TenancyClass
from agentdb.testing import capture_statements
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS
from tests.tenancy.links import links
from tests.tenancy.mixtures import mixtures
from tests.tenancy.operations import OF_SYSTEM, OPERATIONS, arguments
from tests.tenancy.paths import nobody, undone
from tests.tenancy.verbs import Call, is_nothing
from tests.tenancy.worlds import World, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

Work = Callable[[UnitOfWork], Awaitable[Any]]
CLOSED = {TenancyClass.SHARED, TenancyClass.SYSTEM}
TABLES = [name for name, model in MODELS.items() if model.__tenancy__.kind not in CLOSED]
KEYS = {
    "agent_run_usage.record response_id",
    "storage_objects.create id",
    "tenant_accounts.rename slug",
    "user_sessions.open #1",
    "user_sessions.open id",
    "workflow_runs.start id",
    "complete_run response_id",
    "start_workflow_run id",
}
"""Arguments that give a row its key, which is unique across tenants; see test_keys.py."""
TAKES_IN = "tenant_user_memberships.grant #0"
"""What makes a stranger one of the tenant's."""
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH")


class Outcome(NamedTuple):
    """What a call came to.

    Attributes:
        told: What the caller learns: an error, or whether anything was found or done.
        made: The rows of the other tenant that changed, and the references to them.
    """

    told: str
    made: list[str]


async def outcome(world: World, unit: UnitOfWork, call: Work) -> Outcome:
    """Return what a call comes to, and undo it."""

    async def work() -> Outcome:
        with capture_statements(unit) as sent:
            result = await call(unit)
            await unit.session.flush()
        writes = any(statement.startswith(WRITES) for statement in sent)
        told = "nothing" if is_nothing(result) else "something"
        return Outcome(told, await links(world, unit) if writes else [])

    result = await undone(unit, work)
    return result if isinstance(result, Outcome) else Outcome(repr(result), [])


def verb(call: Call, table: str) -> Work:
    """Return what calls a verb of a table in a unit."""
    return lambda unit: call.on(unit, table)


def operation(name: str, given: dict[str, Any]) -> Work:
    """Return what calls an operation in a unit."""
    called: Callable[..., Awaitable[Any]] = getattr(operations, name)
    return lambda unit: called(unit, **given)


@pytest.mark.parametrize("table", TABLES)
async def test_an_argument_that_leads_to_another_tenant_leads_nowhere(
    world: World, database: Database, table: str
) -> None:
    """A verb answers as it does for an id that nobody has, and ties nothing to the other."""
    wrong: dict[str, Any] = {}
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        found = mixtures(getattr(unit, table), world.beta, world.alpha, nobody())
        for mixture in found:
            name = f"{table}.{mixture.name}"
            ways = (mixture.foreign, mixture.unknown)
            foreign, unknown = [await outcome(world, unit, verb(call, table)) for call in ways]
            same = foreign.told == unknown.told or name in {*KEYS, TAKES_IN}
            if not same or foreign.made:
                wrong[name] = (foreign, unknown)

        assert await unit.tenant_accounts.count() == 1
    assert wrong == {}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_is_led_to_no_other_tenant(
    world: World, database: Database, name: str
) -> None:
    """Each of its arguments in turn: the same answer as for what nobody has, and nothing tied."""
    own, foreign, unknown = (arguments(name, r) for r in (world.beta, world.alpha, nobody()))
    wrong: dict[str, Any] = {}
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for argument in (a for a in own if own[a] != foreign[a]):
            ways = ({**own, argument: values[argument]} for values in (foreign, unknown))
            told, other = [await outcome(world, unit, operation(name, given)) for given in ways]
            same = told.told == other.told or f"{name} {argument}" in KEYS
            if not same or told.made:
                wrong[argument] = (told, other)

        assert await unit.tenant_accounts.count() == 1
    assert wrong == {}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_finds_what_is_the_tenants(
    world: World, database: Database, name: str
) -> None:
    """With all arguments of its own it works, or refuses for another reason: none is unknown."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        own = await outcome(world, unit, operation(name, arguments(name, world.beta)))

    assert "NotFound" not in own.told
    assert "InvalidValue" not in own.told


@pytest.mark.parametrize("name", OF_SYSTEM)
async def test_what_reaches_across_tenants_is_closed_to_a_tenant(
    world: World, database: Database, name: str
) -> None:
    """People, sign-ups and what the processor tells are the operator's."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for rows in (world.beta, world.alpha):
            with pytest.raises(PermissionDeniedError):
                await operation(name, arguments(name, rows))(unit)
