"""Owners who leave at once, by every way out: one of them stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest

from agentdb import Database
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.errors import LastOwnerError, TransientError
from agentdb.models import TenantAccount, TenantUserMembership, User
from agentdb.operations import delete_user, disable_user
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently
from agentdb.unit_of_work import UnitOfWork

pytestmark = pytest.mark.agentdb_commits

Leave = Callable[[UnitOfWork, UUID, UUID], Coroutine[Any, Any, object]]


async def remove(uow: UnitOfWork, tenant: UUID, user: UUID) -> object:
    """Leave the tenant."""
    return await uow.tenant_user_memberships.remove(user, tenant_id=tenant)


async def demote(uow: UnitOfWork, tenant: UUID, user: UUID) -> object:
    """Become a member like others."""
    return await uow.tenant_user_memberships.change_role(user, TenantRole.MEMBER, tenant_id=tenant)


async def disable(uow: UnitOfWork, _: UUID, user: UUID) -> object:
    """Lose the account."""
    return await disable_user(uow, user, "test")


async def delete(uow: UnitOfWork, _: UUID, user: UUID) -> object:
    """Be forgotten."""
    return await delete_user(uow, user)


WAYS: dict[str, Leave] = {
    "remove": remove,
    "demote": demote,
    "disable": disable,
    "delete": delete,
}
PAIRS = [(one, two) for one in WAYS for two in WAYS if one <= two]


async def owners(database: Database, tenant: UUID) -> list[UUID]:
    """Return the owners of a tenant who are not disabled."""
    async with database.begin_system(reason="test") as uow:
        page = await uow.tenant_user_memberships.members(
            role=TenantRole.OWNER, tenant_id=tenant, limit=500
        )
        return [m.user.id for m in page if m.user.status != UserStatus.DISABLED]


@pytest.mark.parametrize(("one", "two"), PAIRS)
async def test_of_two_owners_one_stays(
    agentdb_database: Database,
    agentdb_make: Factory,
    agentdb_tenant: TenantAccount,
    one: str,
    two: str,
) -> None:
    """Whichever ways they go, in either order: the second is told so."""
    pair = [agentdb_make.tenant_user_membership(role="owner").user_id for _ in range(2)]
    ways = [WAYS[one], WAYS[two]]

    async def call(number: int) -> int:
        async with agentdb_database.begin_system(reason="test") as uow:
            await ways[number](uow, agentdb_tenant.id, pair[number])
            return number

    outcomes = await run_concurrently(2, call, database=agentdb_database)

    assert [type(error) for error in outcomes.errors] == [LastOwnerError]
    (gone,) = outcomes.results
    assert await owners(agentdb_database, agentdb_tenant.id) == [pair[1 - gone]]


async def test_of_sixty_four_owners_one_stays(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Sixteen by each way, all at once."""
    rows = agentdb_make.tenant_user_membership.many(64, role="owner")
    users = [row.user_id for row in rows]
    ways = list(WAYS.values())

    async def call(number: int) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await ways[number % 4](uow, agentdb_tenant.id, users[number])

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert Counter(type(outcome) for outcome in outcomes) == {type(None): 63, LastOwnerError: 1}
    (left,) = await owners(agentdb_database, agentdb_tenant.id)
    assert isinstance(outcomes[users.index(left)], LastOwnerError)


async def test_two_owners_of_two_tenants_do_not_wait_for_each_other(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Both own both tenants and are disabled or deleted at once, again and again."""
    tenants = agentdb_make.tenant_account.many(2)
    users = agentdb_make.user.many(8, tenant=None)
    for tenant in tenants:
        for user in users:
            agentdb_make.tenant_user_membership(user=user, tenant=tenant, role="owner")

    async def call(number: int) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await (disable, delete)[number % 2](uow, tenants[0].id, users[number].id)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert [type(error) for error in outcomes.errors] == [LastOwnerError]
    for tenant in tenants:
        assert len(await owners(agentdb_database, tenant.id)) == 1


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("way", ["disable", "delete"])
async def test_who_is_made_an_owner_waits_for_who_takes_the_user_away(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount, way: str
) -> None:
    """Else the tenant could lose its other owner to one who is about to go.

    SQLite has one writer at a time.
    """
    user: User = agentdb_make.user()
    first: TenantUserMembership = agentdb_make.tenant_user_membership(role="owner")

    async def go(pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await WAYS[way](uow, agentdb_tenant.id, user.id)
            await pause()

    async def promote(_: Pause) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            members = uow.tenant_user_memberships
            await members.change_role(user.id, TenantRole.OWNER)
            await members.remove(first.user_id)

    async with StepRunner(agentdb_database, go=go, promote=promote) as runner:
        assert await runner.run(["go", "promote"]) == ["paused", "waiting"]
        ended = await runner.finish()

    assert ended["go"] is None
    assert isinstance(ended["promote"], Exception)
    assert await owners(agentdb_database, agentdb_tenant.id) == [first.user_id]


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("way", ["disable", "delete"])
async def test_who_becomes_an_owner_meanwhile_is_looked_at_again(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount, way: str
) -> None:
    """A tenant that was not locked cannot be locked after the user: the unit has to run again.

    SQLite has one writer at a time.
    """
    user: User = agentdb_make.user(tenant=None)
    tenant = agentdb_tenant.id

    async def grant(pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.tenant_user_memberships.grant(user.id, TenantRole.OWNER, tenant_id=tenant)
            await pause()

    async def go(_: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await WAYS[way](uow, tenant, user.id)

    async with StepRunner(agentdb_database, grant=grant, go=go) as runner:
        assert await runner.run(["grant", "go"]) == ["paused", "waiting"]
        ended = await runner.finish()

    assert ended["grant"] is None
    assert isinstance(ended["go"], TransientError)
    assert await owners(agentdb_database, tenant) == [user.id]

    async def again(uow: UnitOfWork) -> object:
        return await WAYS[way](uow, tenant, user.id)

    with pytest.raises(LastOwnerError):
        await agentdb_database.run(again, reason="test")
