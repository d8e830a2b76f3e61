"""The members of two tenants against a model that is a dictionary: each keeps an owner."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, UnitOfWork
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.errors import (
    AgentDBError,
    ConflictError,
    LastOwnerError,
    NotFoundError,
    PermissionDeniedError,
)
from agentdb.operations import delete_user, disable_user, provision_user, sign_up
from tests.machines import run_machine

OWNER = TenantRole.OWNER
PEOPLE = st.integers(0, 4)
TENANTS = st.integers(0, 1)
ROLES = st.sampled_from(TenantRole)
ACTORS = st.none() | ROLES


class Members(RuleBasedStateMachine):
    """Rules do what members and operators do; each in a unit of its own."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.roles: dict[tuple[int, int], TenantRole] = {}
        self.disabled: set[int] = set()
        self.people: dict[int, UUID] = {}
        self.tenants: list[UUID] = []
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        async with self.database.begin_system(reason="test") as uow:
            for number in range(2):
                made = await sign_up(
                    uow, email=f"{uuid4()}@example.com", password_hash="x", tenant_name="Model"
                )
                self.tenants.append(made.tenant.id)
                self.people[number] = made.user.id
                self.roles[number, number] = OWNER
            for number in range(2, 5):
                user, _ = await provision_user(
                    uow, f"{uuid4()}@example.com", "x", tenant_id=self.tenants[0]
                )
                self.people[number] = user.id
                self.roles[number, 0] = TenantRole.MEMBER

    def expect(self, call: Any, error: type[AgentDBError] | None) -> Any:
        """Run a verb; it returns, or raises the one error that it should."""

        async def unit() -> Any:
            async with self.database.begin_system(reason="test") as uow:
                return await call(uow)

        coroutine: Coroutine[Any, Any, Any] = unit()
        if error is None:
            return self.runner.run(coroutine)
        with pytest.raises(AgentDBError) as raised:
            self.runner.run(coroutine)
        assert type(raised.value) is error
        return None

    def alone(self, person: int, tenant: int) -> bool:
        """Whether nobody else owns the tenant who is not disabled."""
        owning = {p for (p, t), role in self.roles.items() if t == tenant and role == OWNER}
        return person in owning and not owning - self.disabled - {person}

    @rule(person=PEOPLE, tenant=TENANTS, role=ROLES)
    def grant(self, person: int, tenant: int, role: TenantRole) -> None:
        """One role a member, granted once."""
        present = self.roles.get((person, tenant))
        error: type[AgentDBError] | None = None if present in {None, role} else ConflictError
        error = error if person in self.people else NotFoundError
        key = self.people.get(person, uuid4())

        async def call(uow: UnitOfWork) -> Any:
            return await uow.tenant_user_memberships.grant(
                key, role, tenant_id=self.tenants[tenant]
            )

        made = self.expect(call, error)
        if made is not None:
            assert made[1] == (present is None)
            self.roles[person, tenant] = role

    @rule(person=PEOPLE, tenant=TENANTS, role=ROLES, actor=ACTORS)
    def change(self, person: int, tenant: int, role: TenantRole, actor: TenantRole | None) -> None:
        """Owners are made and demoted by owners, and the last one stays."""
        present = self.roles.get((person, tenant))
        error: type[AgentDBError] | None = None
        if present is None:
            error = NotFoundError
        elif present != role:
            if actor not in {None, OWNER} and OWNER in {present, role}:
                error = PermissionDeniedError
            elif present == OWNER and self.alone(person, tenant):
                error = LastOwnerError
        key = self.people.get(person, uuid4())

        async def call(uow: UnitOfWork) -> Any:
            return await uow.tenant_user_memberships.change_role(
                key, role, actor_role=actor, tenant_id=self.tenants[tenant]
            )

        self.expect(call, error)
        if error is None:
            self.roles[person, tenant] = role

    @rule(person=PEOPLE, tenant=TENANTS, actor=ACTORS)
    def remove(self, person: int, tenant: int, actor: TenantRole | None) -> None:
        """A member leaves once; the last owner never."""
        present = self.roles.get((person, tenant))
        error: type[AgentDBError] | None = None
        if present == OWNER and actor not in {None, OWNER}:
            error = PermissionDeniedError
        elif present == OWNER and self.alone(person, tenant):
            error = LastOwnerError
        key = self.people.get(person, uuid4())

        async def call(uow: UnitOfWork) -> Any:
            return await uow.tenant_user_memberships.remove(
                key, actor_role=actor, tenant_id=self.tenants[tenant]
            )

        done = self.expect(call, error)
        if error is None:
            assert done == (present is not None)
            self.roles.pop((person, tenant), None)

    @rule(person=PEOPLE)
    def disable(self, person: int) -> None:
        """An account is closed, unless a tenant would have no owner then."""
        self._leave(person, deleted=False)

    @rule(person=PEOPLE)
    def delete(self, person: int) -> None:
        """A person goes for good, unless a tenant would have no owner then."""
        self._leave(person, deleted=True)

    def _leave(self, person: int, *, deleted: bool) -> None:
        alone = any(self.alone(person, tenant) for tenant in (0, 1))
        error: type[AgentDBError] | None = None
        if person not in self.people:
            error = NotFoundError
        elif alone and (deleted or person not in self.disabled):
            error = LastOwnerError
        key = self.people.get(person, uuid4())

        async def call(uow: UnitOfWork) -> Any:
            return await (delete_user(uow, key) if deleted else disable_user(uow, key, "test"))

        self.expect(call, error)
        if error is not None:
            return
        if deleted:
            del self.people[person]
            self.disabled.discard(person)
            self.roles = {at: role for at, role in self.roles.items() if at[0] != person}
        else:
            self.disabled.add(person)

    @rule(person=PEOPLE)
    def enable(self, person: int) -> None:
        """An account opens again; the place in the tenants is what it was."""
        key = self.people.get(person, uuid4())

        async def call(uow: UnitOfWork) -> Any:
            return await uow.users.set_status(key, UserStatus.ACTIVE)

        self.expect(call, None if person in self.people else NotFoundError)
        self.disabled.discard(person)

    @invariant()
    def is_as_the_model_says(self) -> None:
        """The lists show the model, and each tenant has an owner whose account is open."""

        async def call(uow: UnitOfWork) -> Any:
            members = uow.tenant_user_memberships.members
            return [(await members(tenant_id=tenant)).items for tenant in self.tenants]

        numbers = {key: number for number, key in self.people.items()}
        found = self.expect(call, None)
        for tenant, items in enumerate(found):
            roles = {numbers[m.user.id]: m.membership.role for m in items}
            assert roles == {p: role for (p, t), role in self.roles.items() if t == tenant}
            open_owners = [p for p, role in roles.items() if role == OWNER]
            assert set(open_owners) - self.disabled


@pytest.mark.agentdb_commits
def test_members_behave_as_their_model(agentdb_database: Database) -> None:
    """Grants, changes of roles, removals, closed accounts and deletions, in any order."""
    run_machine(Members, agentdb_database, steps=25, examples=20)
