"""Who belongs to which tenant, and as what."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal, select, tuple_

from agentdb.auth.models import (
    TenantUserMembership,
    User,
    UserProfile,
)
from agentdb.auth.owners import keep_user, lock_tenant, lock_user, require_other_owner
from agentdb.auth.people import Member
from agentdb.auth.values import TenantRole
from agentdb.driver_errors import orm_errors
from agentdb.errors import (
    ConflictError,
    InvalidValueError,
    PermissionDeniedError,
    TenantRequiredError,
)
from agentdb.paging import Page, check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository import Repository


class TenantUserMembershipRepository(Repository[TenantUserMembership, UUID]):
    """Who belongs to which tenant, and as what.

    What takes an owner from a tenant locks the tenant first: of all owners who leave, are demoted,
    disabled or deleted at once, one stays. A disabled owner does not count as one.
    """

    model = TenantUserMembership

    async def grant(
        self, user_id: UUID, role: TenantRole, *, tenant_id: UUID | None = None
    ) -> tuple[TenantUserMembership, bool]:
        """Make a user a member of a tenant.

        Race-safe: N concurrent calls with one role all succeed and leave one row. Whoever is no
        member yet is a stranger to the tenant's units: a system unit brings people in.

        Args:
            user_id: The user.
            role: As what.
            tenant_id: The tenant, in a system unit.

        Returns:
            The membership, and whether it is new.

        Raises:
            NotFoundError: There is no such user or tenant; in a tenant's unit, no such member.
            ConflictError: The user is a member in another role; `change_role` changes it.
            InvalidValueError: It is no role.
        """
        tenant = self.unit.scope.owner(tenant_id)
        if self.unit.tenant is not None:
            await lock_user(self.unit, user_id)
        elif role == TenantRole.OWNER:
            await keep_user(self.unit, user_id)
        values = {"user_id": user_id, "tenant_id": tenant, "role": role}
        row, created = await self.upsert(values, ["user_id", "tenant_id"], update=())
        if row.role != role:
            raise ConflictError("the user is a member of the tenant in another role")
        return row, created

    async def change_role(
        self,
        user_id: UUID,
        role: TenantRole,
        *,
        actor_role: TenantRole | None = None,
        tenant_id: UUID | None = None,
    ) -> TenantUserMembership:
        """Give a member another role, under the lock of the tenant.

        Args:
            user_id: The member.
            role: The new role; the present one changes nothing.
            actor_role: The role of who asks for it; None asks for no permission.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: The user is no member of the tenant.
            LastOwnerError: The tenant would be left without an owner.
            PermissionDeniedError: An actor who is no owner makes or demotes one.
            InvalidValueError: It is no role, or the actor's is none.
        """
        tenant = self.unit.scope.owner(tenant_id)
        _check_role(actor_role)
        row = await self._locked(user_id, tenant)
        if row is None:
            raise self._not_found()
        if row.role == role:
            return row
        _check_actor(actor_role, row.role, role)
        if row.role == TenantRole.OWNER:
            await require_other_owner(self.unit, tenant, user_id)
        if role == TenantRole.OWNER:
            await keep_user(self.unit, user_id)
        return await self.update(row.id, role=role)

    async def remove(
        self,
        user_id: UUID,
        *,
        actor_role: TenantRole | None = None,
        tenant_id: UUID | None = None,
    ) -> bool:
        """Take a member out of a tenant, under the lock of the tenant.

        Args:
            user_id: The member.
            actor_role: The role of who asks for it; None asks for no permission.
            tenant_id: The tenant, in a system unit.

        Returns:
            False if the user was none.

        Raises:
            LastOwnerError: The tenant would be left without an owner.
            PermissionDeniedError: An actor who is no owner removes one.
            InvalidValueError: The actor has no role that there is.
        """
        tenant = self.unit.scope.owner(tenant_id)
        _check_role(actor_role)
        row = await self._locked(user_id, tenant)
        if row is None:
            return False
        _check_actor(actor_role, row.role)
        if row.role == TenantRole.OWNER:
            await require_other_owner(self.unit, tenant, user_id)
        return await self.delete(row.id)

    async def _locked(self, user_id: UUID, tenant: UUID) -> TenantUserMembership | None:
        await lock_tenant(self.unit, tenant)
        return await self._of(user_id, tenant)

    async def _of(self, user_id: UUID, tenant: UUID) -> TenantUserMembership | None:
        mine = TenantUserMembership.tenant_id == tenant
        return await self.find(TenantUserMembership.user_id == user_id, mine)

    async def resolve(
        self, user_id: UUID, *, tenant_id: UUID | None = None
    ) -> TenantUserMembership:
        """Return the membership of a user: in the tenant, or the only one where none is named.

        Args:
            user_id: The user.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: The user is no member.
            TenantRequiredError: Several tenants have the user as a member, and none is named.
        """
        tenant = self.unit.scope.filter(tenant_id)
        mine = [] if tenant is None else [TenantUserMembership.tenant_id == tenant]
        rows = await self.all(TenantUserMembership.user_id == user_id, *mine, limit=2)
        if not rows:
            raise self._not_found()
        if len(rows) > 1:
            raise TenantRequiredError("the user is a member of several tenants: name one")
        return rows[0]

    async def members(
        self,
        *,
        role: TenantRole | None = None,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[Member]:
        """Return a page of the members of a tenant, by address; one statement.

        Args:
            role: In this role.
            after: Cursor of the page before; None starts.
            limit: Members of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit or the role is none.
        """
        check_limit(limit)
        tenant = self.unit.scope.filter(tenant_id)
        where = [] if tenant is None else [TenantUserMembership.tenant_id == tenant]
        where += [] if role is None else [TenantUserMembership.role == role]
        seal = fingerprint(where, self.model.__tablename__, self.unit.tenant, "members")
        query = _by_email(where).limit(limit + 1)
        if after is not None:
            query = query.where(_follows(*decode_cursor(seal, after, [str, UUID])))
        found = await self._members(query)
        if len(found) <= limit:
            return Page(tuple(found))
        last = found[limit - 1]
        cursor = encode_cursor(seal, [last.user.email, last.membership.id])
        return Page(tuple(found[:limit]), cursor)

    async def _members(self, query: _Joined) -> list[Member]:
        session = self.unit.session
        with orm_errors():
            await session.flush()
            rows = await session.execute(query, execution_options={"populate_existing": True})
        return [Member(*row) for row in rows]

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the user's memberships, newest first."""
        return await self._newest(TenantUserMembership.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the tenant's memberships, newest first."""
        return await self._newest(
            TenantUserMembership.tenant_id == tenant_id, after=after, limit=limit
        )


_Joined: TypeAlias = Select[TenantUserMembership, User, UserProfile]


def _by_email(where: list[ColumnElement[bool]]) -> _Joined:
    return (
        select(TenantUserMembership, User, UserProfile)
        .join(User, User.id == TenantUserMembership.user_id)
        .outerjoin(UserProfile, UserProfile.user_id == User.id)
        .where(*where)
        .order_by(User.email, TenantUserMembership.id)
    )


def _follows(email: str, key: UUID) -> ColumnElement[bool]:
    position = tuple_(User.email, TenantUserMembership.id)
    return position > tuple_(
        literal(email, User.email.type), literal(key, TenantUserMembership.id.type)
    )


def _check_role(actor: TenantRole | None) -> None:
    if actor is not None and actor not in list(TenantRole):
        raise InvalidValueError("an actor has one of the roles of members")


def _check_actor(actor: TenantRole | None, *roles: TenantRole) -> None:
    if actor is not None and actor != TenantRole.OWNER and TenantRole.OWNER in roles:
        raise PermissionDeniedError("only owners grant, demote or remove owners")
