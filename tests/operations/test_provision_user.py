from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.errors import (
    ConflictError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantRequiredError,
)
from agentdb.models import TenantAccount
from agentdb.operations import Provisioned, provision_user
from agentdb.repository import Repository
from agentdb.testing import Factory, run_concurrently


async def test_a_provisioned_user_has_all_that_a_user_begins_with(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """User, profile, password history and membership, in one unit."""
    async with agentdb_database.begin_system(reason="test") as uow:
        user, created = await provision_user(
            uow,
            " Bob@Example.com ",
            "digest",
            role=TenantRole.ADMIN,
            status=UserStatus.ACTIVE,
            display_name=" Bob   B ",
            pepper_version="v1",
            tenant_id=agentdb_tenant.id,
        )
        (member,) = await uow.tenant_user_memberships.members(tenant_id=agentdb_tenant.id)
        (entry,) = await uow.password_history.recent(user.id)

        assert created
        assert (user.email, user.status) == ("bob@example.com", UserStatus.ACTIVE)
        assert (member.user.id, member.membership.role) == (user.id, TenantRole.ADMIN)
        assert member.profile is not None
        assert member.profile.display_name == "Bob B"
        assert (entry.password_hash, entry.password_pepper_version) == ("digest", "v1")


async def test_a_user_who_exists_is_refused_or_attached(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Attached with the password and the status that there were; in one role only."""
    user = agentdb_make.user(tenant=None, email="bob@example.com", status="active")
    tenant = agentdb_tenant.id
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(DuplicateError):
            await provision_user(uow, "BOB@example.com", "new", tenant_id=tenant)
        for _ in range(2):
            found, created = await provision_user(
                uow, "BOB@example.com", "new", if_exists="attach", tenant_id=tenant
            )
            assert (found.id, created) == (user.id, False)
            assert (found.password_hash, found.status) == (user.password_hash, UserStatus.ACTIVE)
        with pytest.raises(ConflictError):
            await provision_user(
                uow,
                "bob@example.com",
                "new",
                role=TenantRole.OWNER,
                if_exists="attach",
                tenant_id=tenant,
            )

        assert await uow.password_history.recent(user.id) == []
        assert (await uow.tenant_user_memberships.resolve(user.id)).role == TenantRole.MEMBER


REFUSED: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "address": ({"email": "nobody"}, InvalidValueError),
    "choice": ({"if_exists": "replace"}, InvalidValueError),
    "role": ({"role": "boss"}, InvalidValueError),
    "status": ({"status": "gone"}, InvalidValueError),
    "tenant": ({"tenant_id": uuid4()}, NotFoundError),
    "no tenant": ({"tenant_id": None}, TenantRequiredError),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_user_leaves_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, name: str
) -> None:
    """Neither user nor membership; the unit goes on."""
    values, error = REFUSED[name]
    given: dict[str, Any] = {"email": "bob@example.com", "tenant_id": agentdb_tenant.id, **values}
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(error):
            await provision_user(uow, given.pop("email"), "digest", **given)

        assert await uow.users.count() == 0
        assert await uow.tenant_user_memberships.count() == 0


async def test_a_tenants_unit_provisions_nobody(agentdb_uow: UnitOfWork) -> None:
    """It would learn which addresses other tenants have."""
    with pytest.raises(PermissionDeniedError):
        await provision_user(agentdb_uow, "bob@example.com", "digest")


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("if_exists", ["error", "attach"])
async def test_of_sixty_four_one_makes_the_user(
    agentdb_database: Database, agentdb_tenant: TenantAccount, if_exists: Any
) -> None:
    """The others attach, or raise; there is one user with one membership, profile and entry."""

    async def call(_: int) -> Provisioned:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await provision_user(
                uow,
                "bob@example.com",
                "digest",
                if_exists=if_exists,
                tenant_id=agentdb_tenant.id,
            )

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert sum(made.created for made in outcomes.results) == 1
    assert len(outcomes.results) == (64 if if_exists == "attach" else 1)
    assert {type(error) for error in outcomes.errors} <= {DuplicateError}
    async with agentdb_database.begin_system(reason="test") as uow:
        tables: list[Repository[Any, Any]] = [
            uow.users,
            uow.user_profiles,
            uow.password_history,
            uow.tenant_user_memberships,
        ]
        assert [await table.count() for table in tables] == [1, 1, 1, 1]
