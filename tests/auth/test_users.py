from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import InvalidRequestError

from agentdb import Database, UnitOfWork
from agentdb.auth.values import UserStatus
from agentdb.errors import InvalidTransitionError, InvalidValueError, NotFoundError, ReferencedError
from agentdb.models import User
from agentdb.testing import Factory, Queries, run_concurrently

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_a_user_is_found_by_the_address_in_any_form(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Trimmed and in lower case; what is no address belongs to nobody."""
    user = agentdb_make.user(email="ada@example.com")
    found = [await agentdb_uow.users.by_email(e) for e in (" Ada@EXAMPLE.com ", "b@example.com")]

    assert found[0] is not None
    assert [found[0].id, found[1]] == [user.id, None]
    assert await agentdb_uow.users.by_email("no address") is None


async def test_a_user_comes_with_what_was_asked_for(
    agentdb_database: Database, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Profile and memberships in two statements; what was not asked for raises when it is read."""
    user = agentdb_make.user(email="ada@example.com")
    agentdb_make.user_profile(user=user, display_name="Ada")
    other = agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(user=user, tenant=other, role="viewer")
    async with agentdb_database.begin_system(reason="test") as uow:
        bare = await uow.users.by_email("ada@example.com")
        assert bare is not None
        with pytest.raises(InvalidRequestError):
            _ = bare.memberships
        with agentdb_queries(max=2):
            full = await uow.users.by_email(
                "ada@example.com", with_profile=True, with_memberships=True
            )
        assert full is not None
        assert full.profile is not None
        assert full.profile.display_name == "Ada"
        assert "viewer" in {m.role for m in full.memberships}

    async with agentdb_database.begin(tenant=other.id) as uow:
        seen = await uow.users.by_email("ada@example.com", with_memberships=True)
        assert seen is not None
        assert [m.tenant_id for m in seen.memberships] == [other.id]


async def test_the_first_verification_stays(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """It is stamped once; a pending user becomes active, a disabled one stays disabled."""
    pending = agentdb_make.user(status="pending", email_verified_at=None)
    disabled = agentdb_make.user(status="disabled", email_verified_at=None)
    first = await agentdb_uow.users.verify_email(pending.id, now=NOW)
    assert (first.status, first.email_verified_at) == (UserStatus.ACTIVE, NOW)
    again = await agentdb_uow.users.verify_email(pending.id, now=NOW + timedelta(days=1))
    closed = await agentdb_uow.users.verify_email(disabled.id, now=NOW)

    assert (again.status, again.email_verified_at) == (UserStatus.ACTIVE, NOW)
    assert (closed.status, closed.email_verified_at) == (UserStatus.DISABLED, NOW)
    with pytest.raises(NotFoundError):
        await agentdb_uow.users.verify_email(uuid4())


async def test_a_status_is_compared_and_set(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Another status than expected refuses, as does one that is none; the unit goes on."""
    user = agentdb_make.user(status="active")
    users = agentdb_uow.users
    loaded = await users.require(user.id)
    await users.set_status(user.id, UserStatus.LOCKED, expected=UserStatus.ACTIVE)
    with pytest.raises(InvalidTransitionError):
        await users.set_status(user.id, UserStatus.DISABLED, expected=UserStatus.ACTIVE)
    with pytest.raises(InvalidValueError):
        await users.set_status(user.id, "gone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a caller without a type checker
    with pytest.raises(NotFoundError):
        await users.set_status(uuid4(), UserStatus.ACTIVE)

    assert loaded.status == UserStatus.LOCKED
    assert (await users.set_status(user.id, UserStatus.ACTIVE)).status == UserStatus.ACTIVE


@pytest.mark.agentdb_commits
async def test_one_of_eight_sets_the_status_it_expects(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others learn that it has changed."""
    user = agentdb_make.user(status="active")

    async def call(_: int) -> User:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.users.set_status(
                user.id, UserStatus.LOCKED, expected=UserStatus.ACTIVE
            )

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {InvalidTransitionError}


async def test_a_sole_owner_is_one_whom_no_other_replaces(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Members of other roles and disabled owners do not; an owner who is locked does."""
    user = agentdb_make.user(tenant=None)
    tenants = [agentdb_make.tenant_account() for _ in range(4)]
    beside: list[list[tuple[str, str]]] = [
        [],
        [("admin", "active"), ("owner", "disabled")],
        [("owner", "locked")],
        [("owner", "pending"), ("owner", "disabled")],
    ]
    for tenant, others in zip(tenants, beside, strict=True):
        agentdb_make.tenant_user_membership(user=user, tenant=tenant, role="owner")
        for role, status in others:
            other = agentdb_make.user(tenant=None, status=status)
            agentdb_make.tenant_user_membership(user=other, tenant=tenant, role=role)
    fifth = agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(user=user, tenant=fifth, role="member")
    async with agentdb_database.begin_system(reason="test") as uow:
        found = await uow.users.sole_owner_tenants(user.id)
    async with agentdb_database.begin(tenant=tenants[1].id) as uow:
        own = await uow.users.sole_owner_tenants(user.id)

    assert found == sorted(tenant.id for tenant in tenants[:2])
    assert own == [tenants[1].id]


async def test_the_generic_deletion_points_to_the_operation(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Which knows what refers to a user without a foreign key."""
    with pytest.raises(ReferencedError, match="delete_user"):
        await agentdb_uow.users.delete(agentdb_make.user().id)
