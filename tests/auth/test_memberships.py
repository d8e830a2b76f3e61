from __future__ import annotations

from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import TenantRole
from agentdb.errors import (
    ConflictError,
    InvalidCursorError,
    InvalidValueError,
    LastOwnerError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.models import TenantAccount
from agentdb.testing import Factory, Queries, run_concurrently

OWNER, ADMIN, MEMBER, VIEWER = TenantRole


async def test_a_role_is_granted_once(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """The same role again changes nothing, another one is a conflict."""
    user, tenant = agentdb_make.user(tenant=None).id, agentdb_tenant.id
    async with agentdb_database.begin_system(reason="test") as uow:
        grant = uow.tenant_user_memberships.grant
        row, created = await grant(user, ADMIN, tenant_id=tenant)
        again, repeated = await grant(user, ADMIN, tenant_id=tenant)
        with pytest.raises(ConflictError):
            await grant(user, OWNER, tenant_id=tenant)

        assert (created, repeated, row.role) == (True, False, ADMIN)
        assert row is again


@pytest.mark.parametrize("role", TenantRole)
async def test_a_tenant_brings_nobody_in(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, role: TenantRole
) -> None:
    """Whoever is no member is nobody to its units, as is who does not exist."""
    members = agentdb_uow.tenant_user_memberships
    user = agentdb_make.user(tenant=None)
    with pytest.raises(NotFoundError) as stranger:
        await members.grant(user.id, role)
    with pytest.raises(NotFoundError) as nobody:
        await members.grant(uuid4(), role)

    assert str(stranger.value) == str(nobody.value)
    member = agentdb_make.tenant_user_membership(role="member")
    row, created = await members.grant(member.user_id, MEMBER)
    assert (row.id, created) == (member.id, False)


@pytest.mark.parametrize("role", TenantRole)
async def test_nobody_is_no_member(agentdb_uow: UnitOfWork, role: TenantRole) -> None:
    """A membership of a user who does not exist is refused, in every role."""
    members = agentdb_uow.tenant_user_memberships
    with pytest.raises(NotFoundError):
        await members.grant(uuid4(), role)
    with pytest.raises(NotFoundError):
        await members.change_role(uuid4(), role)

    assert not await members.remove(uuid4())


async def test_what_is_no_role_is_refused(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Neither granted nor given instead of another."""
    user = agentdb_make.tenant_user_membership(role="viewer").user_id
    members = agentdb_uow.tenant_user_memberships
    with pytest.raises(InvalidValueError):
        await members.grant(user, "boss")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a caller without a type checker
    with pytest.raises(InvalidValueError):
        await members.change_role(user, "boss")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a caller without a type checker

    assert (await members.resolve(user)).role == VIEWER


async def test_the_last_owner_stays(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Neither demoted nor removed until there is another owner, one who is not disabled."""
    owner = agentdb_make.tenant_user_membership(role="owner")
    disabled = agentdb_make.user(tenant=None, status="disabled")
    agentdb_make.tenant_user_membership(user=disabled, role="owner")
    admin = agentdb_make.tenant_user_membership(role="admin")
    members = agentdb_uow.tenant_user_memberships
    for _ in range(2):
        with pytest.raises(LastOwnerError):
            await members.change_role(owner.user_id, MEMBER)
        with pytest.raises(LastOwnerError):
            await members.remove(owner.user_id)
    assert (await members.change_role(owner.user_id, OWNER)).id == owner.id
    await members.change_role(admin.user_id, OWNER)

    assert await members.remove(owner.user_id)
    assert not await members.remove(owner.user_id)
    assert await members.remove(disabled.id)
    with pytest.raises(LastOwnerError):
        await members.remove(admin.user_id)


async def test_what_is_not_flushed_counts(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """An entity that the host has changed tells who owns the tenant."""
    owner = agentdb_make.tenant_user_membership(role="owner")
    other = agentdb_make.tenant_user_membership(role="member")
    (await agentdb_uow.tenant_user_memberships.require(other.id)).role = OWNER

    assert await agentdb_uow.tenant_user_memberships.remove(owner.user_id)


@pytest.mark.parametrize("actor", [ADMIN, MEMBER, VIEWER])
async def test_only_owners_make_and_unmake_owners(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, actor: TenantRole
) -> None:
    """An owner may, everybody else may not; other roles are not guarded here."""
    first, second = agentdb_make.tenant_user_membership.many(2, role="owner")
    viewer = agentdb_make.tenant_user_membership(role="viewer")
    members = agentdb_uow.tenant_user_memberships
    with pytest.raises(PermissionDeniedError):
        await members.change_role(viewer.user_id, OWNER, actor_role=actor)
    with pytest.raises(PermissionDeniedError):
        await members.change_role(first.user_id, ADMIN, actor_role=actor)
    with pytest.raises(PermissionDeniedError):
        await members.remove(first.user_id, actor_role=actor)

    await members.change_role(viewer.user_id, MEMBER, actor_role=actor)
    await members.change_role(viewer.user_id, OWNER, actor_role=OWNER)
    assert await members.remove(first.user_id, actor_role=OWNER)
    assert (await members.change_role(second.user_id, MEMBER, actor_role=OWNER)).role == MEMBER


async def test_a_membership_is_found_without_its_tenant(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """The only one of a user; of several the tenant must be named."""
    member = agentdb_make.tenant_user_membership()
    other = agentdb_make.tenant_account()
    async with agentdb_database.begin_system(reason="test") as uow:
        resolve = uow.tenant_user_memberships.resolve
        assert (await resolve(member.user_id)).id == member.id
        with pytest.raises(NotFoundError):
            await resolve(uuid4())
        with pytest.raises(NotFoundError):
            await resolve(member.user_id, tenant_id=other.id)
        added, _ = await uow.tenant_user_memberships.grant(
            member.user_id, ADMIN, tenant_id=other.id
        )
        with pytest.raises(TenantRequiredError):
            await resolve(member.user_id)
        assert (await resolve(member.user_id, tenant_id=other.id)).id == added.id
        with pytest.raises(TenantRequiredError):
            await uow.tenant_user_memberships.remove(member.user_id)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        assert (await uow.tenant_user_memberships.resolve(member.user_id)).id == member.id
        with pytest.raises(TenantMismatchError):
            await uow.tenant_user_memberships.resolve(member.user_id, tenant_id=other.id)


async def test_members_come_by_address_in_one_statement(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """With user and profile; pages of any size show each member once."""
    for name in ("dora", "ada", "cyd", "bob"):
        user = agentdb_make.user(tenant=None, email=f"{name}@example.com")
        agentdb_make.tenant_user_membership(user=user, role="admin" if "a" in name else "viewer")
        if name != "bob":
            agentdb_make.user_profile(user=user, display_name=name)
    theirs = agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(tenant=theirs)
    members = agentdb_uow.tenant_user_memberships.members
    with agentdb_queries(max=1):
        page = await members()
    shown = [(m.user.email[:-12], m.profile and m.profile.display_name) for m in page]
    assert shown == [("ada", "ada"), ("bob", None), ("cyd", "cyd"), ("dora", "dora")]

    for limit in (1, 2, 3, 4):
        walked, cursor = list[str](), None
        while True:
            page = await members(limit=limit, after=cursor)
            walked += [m.user.email[:-12] for m in page]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert walked == ["ada", "bob", "cyd", "dora"]
    assert [m.membership.role for m in await members(role=ADMIN)] == [ADMIN, ADMIN]
    cursor = (await members(limit=1)).next_cursor
    with pytest.raises(InvalidCursorError):
        await members(limit=1, role=VIEWER, after=cursor)


async def test_a_member_of_several_tenants_is_listed_for_each(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A system unit that names no tenant pages through equal addresses without losing one."""
    user = agentdb_make.user()
    for _ in range(3):
        agentdb_make.tenant_user_membership(user=user, tenant=agentdb_make.tenant_account())
    async with agentdb_database.begin_system(reason="test") as uow:
        seen, cursor = list[object](), None
        while True:
            page = await uow.tenant_user_memberships.members(limit=1, after=cursor)
            seen += [m.membership.tenant_id for m in page if m.user.id == user.id]
            cursor = page.next_cursor
            if cursor is None:
                break
        places = await uow.tenant_user_memberships.for_user(user.id)

    assert sorted(map(str, seen)) == sorted(str(place.tenant_id) for place in places)
    assert len(seen) >= 3


@pytest.mark.agentdb_commits
async def test_sixty_four_grants_leave_one_membership(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """All succeed, and one of them has made it."""
    user = agentdb_make.user(tenant=None)

    async def call(_: int) -> bool:
        async with agentdb_database.begin_system(reason="test") as uow:
            grant = uow.tenant_user_memberships.grant
            return (await grant(user.id, OWNER, tenant_id=agentdb_tenant.id))[1]

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(outcomes.results) == 1
