"""What a verb or an operation is given wrongly is refused by type, and the unit goes on.

Every public verb of every repository is called with right arguments but one, and so are the
operations on people; a new verb takes part by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import Parameter, signature
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from agentdb.auth.values import TenantRole, UserStatus
from agentdb.database import Database
from agentdb.errors import (
    AgentDBError,
    CommitUnknownError,
    CorruptDatabaseError,
    DeadlineError,
    ForkedEngineError,
    InvalidValueError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.repository import Repository
from agentdb.testing import Template
from agentdb.unit_of_work import UnitOfWork
from tests.contract.operation_calls import OPERATIONS, OperationCall
from tests.rows import MODELS, Rows
from tests.tenancy.verbs import Call, calls, verbs_of
from tests.tenancy.worlds import World, build, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_TIME_ZONE = datetime(2026, 1, 1)  # noqa: DTZ001 -- what is refused
BAD: dict[str, Any] = {
    "nothing": None,
    "an object": object(),
    "a truth": True,
    "a negative number": -1,
    "a huge number": 2**70,
    "no number": float("nan"),
    "half a character": "a\ud800",
    "a million letters": "x" * 1_000_000,
    "bytes": b"x",
    "a list of nothing": [None],
    "a list of lists": [[]],
    "a mapping": {"x": object()},
    "a naive instant": NO_TIME_ZONE,
    "an endless time": timedelta.max,
    "a distant instant": datetime.max.replace(tzinfo=UTC),
}
EVERYWHERE = {"after", "now", "tenant_id"}
"""Parameters that all verbs hand on to the same place."""
FEW = ("an object", "half a character", "a naive instant")
"""For those, for ids and for switches. No list as an id: the check of references makes sets of
them."""
OUTAGES = (
    TransientError,
    CommitUnknownError,
    CorruptDatabaseError,
    DeadlineError,
    ForkedEngineError,
    SchemaVersionError,
    UnavailableError,
)
"""What says that the database is at fault: no argument is."""
INHERITED = {name for name in dir(Repository) if name[0] != "_"}

session_fixture = pytest_asyncio.fixture(scope="session", loop_scope="session")


@pytest.fixture(scope="session")
def world(agentdb_template: Template) -> Iterator[World]:
    """A database with a row in each table of two tenants."""
    url = agentdb_template.clone()
    yield build(url, alone=False)
    agentdb_template.drop(url)


@session_fixture
async def database(world: World) -> AsyncIterator[Database]:
    """The database of `world`."""
    async with Database(world.url) as database:
        yield database


def domain_calls(repository: Repository[Any, Any], rows: Rows) -> Iterator[Call]:
    """Yield one right call of each verb that the table has of its own."""
    found = {c.verb: c for c in calls(repository, rows) if not c.refuses}
    yield from (call for name, call in found.items() if name not in INHERITED)


def spoilt(call: Call, verb: Any) -> Iterator[tuple[str, str, Call]]:
    """Yield a call with each parameter in turn replaced by each bad value."""
    place = 0
    for parameter in signature(verb).parameters.values():
        if parameter.kind in {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}:
            continue
        is_positional = parameter.kind is not Parameter.KEYWORD_ONLY
        for name, value in _bad_values(parameter):
            if is_positional and place < len(call.arguments):
                given = (*call.arguments[:place], value, *call.arguments[place + 1 :])
                yield parameter.name, name, replace(call, arguments=given)
            else:
                options = {**call.options, parameter.name: value}
                yield parameter.name, name, replace(call, options=options)
        place += is_positional


def _bad_values(parameter: Parameter) -> Iterator[tuple[str, Any]]:
    kind = str(parameter.annotation)
    is_short = parameter.name in EVERYWHERE or kind.startswith(("UUID", "bool"))
    yield from ((name, BAD[name]) for name in (FEW if is_short else BAD))


async def admit(unit: UnitOfWork, rows: Rows) -> None:
    """Let the user log in, and leave the tenant: as one of its members who is no owner."""
    await unit.users.set_status(rows["users"].id, UserStatus.ACTIVE)
    await unit.tenant_user_memberships.update(
        rows["tenant_user_memberships"].id, role=TenantRole.MEMBER
    )


async def fault(unit: UnitOfWork, what: str, run: Callable[[], Awaitable[Any]]) -> str | None:
    """Run a call that is undone, and return what is wrong with the way it fails."""
    found: str | None = None
    async with unit.session.begin_nested() as undone:
        try:
            await run()
        except AgentDBError as error:
            if type(error) is AgentDBError or isinstance(error, OUTAGES):
                found = f"{what}: {error!r}"
            if len(str(error)) > 300:
                found = f"{what}: a message of {len(str(error))} characters"
        except Exception as error:  # noqa: BLE001 -- what must not leave a verb
            found = f"{what}: {error!r:.200}"
        await unit.session.execute(text("SELECT 1"))
        await undone.rollback()
    return found


@pytest.mark.parametrize("table", MODELS)
async def test_a_bad_argument_of_a_verb_is_refused_by_type(
    world: World, database: Database, table: str
) -> None:
    """By an error of agentdb's own, or it is taken; the transaction can go on in both cases."""
    found: list[str | None] = []
    async with unit_of(database, system="every verb") as unit:
        repository = getattr(unit, table)
        for call in domain_calls(repository, world.beta):
            for parameter, name, bad in spoilt(call, verbs_of(repository)[call.verb]):
                what = f"{call.verb}({parameter}={name})"
                found.append(await fault(unit, what, partial(bad.on, unit, table)))

    assert [what for what in found if what] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda call: call.name)
async def test_a_bad_argument_of_an_operation_is_refused_by_type(
    world: World, database: Database, operation: OperationCall
) -> None:
    """As that of a verb; nothing of the operation is left behind."""
    found: list[str | None] = []
    async with unit_of(database, system="every operation") as unit:
        await admit(unit, world.beta)
        given = operation.arguments(world.beta)
        for parameter in signature(operation.function).parameters.values():
            if parameter.kind is Parameter.VAR_KEYWORD or parameter.name == "uow":
                continue
            for name, value in _bad_values(parameter):
                what = f"{parameter.name}={name}"
                bad = {**given, parameter.name: value}
                run = partial(operation.function, unit, **bad)
                found.append(await fault(unit, what, run))

    assert [what for what in found if what] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda call: call.name)
async def test_the_right_arguments_of_an_operation_are_taken(
    world: World, database: Database, operation: OperationCall
) -> None:
    """Else the test of bad ones would see nothing but the first refusal."""
    async with unit_of(database, system="every operation") as unit:
        await admit(unit, world.beta)
        await operation.function(unit, **operation.arguments(world.beta))


@pytest.mark.parametrize("value", [1, "yes", object(), None])
async def test_only_true_permits_entitlements(world: World, database: Database, value: Any) -> None:
    """A permission that came as text, ``false`` too, would be one."""
    tenant: UUID = world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=tenant) as unit:
        with pytest.raises(InvalidValueError):
            await unit.tenant_settings.patch_flags({"feature.x": True}, entitlements=value)


@pytest.mark.parametrize("role", ["Owner", "root", 1, object()])
async def test_an_actor_without_a_role_changes_nothing(
    world: World, database: Database, role: Any
) -> None:
    """What is no role is not one below that of an owner."""
    tenant, user = world.beta["tenant_accounts"].id, world.beta["users"].id
    async with unit_of(database, tenant=tenant) as unit:
        with pytest.raises(InvalidValueError):
            await unit.tenant_user_memberships.remove(user, actor_role=role)
        with pytest.raises(InvalidValueError):
            await unit.tenant_user_memberships.change_role(user, TenantRole.VIEWER, actor_role=role)
