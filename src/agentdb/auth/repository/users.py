"""Users of all tenants."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn
from uuid import UUID

from sqlalchemy import case, func, or_, update
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption
from typing_extensions import override

from agentdb.auth.models import (
    User,
)
from agentdb.auth.owners import sole_owner_tenants
from agentdb.auth.values import UserStatus
from agentdb.canonical import canonical_email
from agentdb.errors import InvalidTransitionError, InvalidValueError, ReferencedError
from agentdb.repository import Repository
from agentdb.tenancy import CHECKED


class UserRepository(Repository[User, UUID]):
    """Users of all tenants."""

    model = User

    async def by_email(
        self, email: str, *, with_profile: bool = False, with_memberships: bool = False
    ) -> User | None:
        """Return the user with the address in its canonical form, if any.

        Args:
            email: The address, in any case.
            with_profile: Load `User.profile`, in the same statement.
            with_memberships: Load `User.memberships`, by one more statement; in a tenant's unit
                the one of the tenant.
        """
        try:
            canonical = canonical_email(email)
        except InvalidValueError:
            return None
        if not with_profile and not with_memberships:
            return await self._by(User.email, canonical)
        options: list[ExecutableOption] = []
        options += [joinedload(User.profile)] if with_profile else []
        options += [selectinload(User.memberships)] if with_memberships else []
        query = self._select(User.email == canonical).options(*options)
        return (await self._entities(query)).one_or_none()

    async def sole_owner_tenants(self, key: UUID) -> list[UUID]:
        """Return the tenants that would be left without an owner if the user went, by id.

        An owner who is disabled does not count as another one. In a tenant's unit it is that tenant
        at the most.
        """
        return await sole_owner_tenants(self.unit, key)

    async def verify_email(self, key: UUID, *, now: datetime | None = None) -> User:
        """Note that the address of a user is verified; a pending user becomes active.

        The first time stays, until the address changes.

        Args:
            key: The id of the user.
            now: The clock of the verification.

        Raises:
            NotFoundError: There is no such user.
        """
        is_pending = User.status == UserStatus.PENDING
        change = (
            update(User)
            .where(User.id == key, or_(User.email_verified_at.is_(None), is_pending))
            .values(
                email_verified_at=func.coalesce(User.email_verified_at, self.unit.now(now)),
                status=case((is_pending, UserStatus.ACTIVE), else_=User.status),
            )
        )
        found: User | None = (await self._write(change.returning(User), CHECKED)).scalar()
        return await self.require(key) if found is None else found

    async def set_status(
        self, key: UUID, status: UserStatus, *, expected: UserStatus | None = None
    ) -> User:
        """Set what a user may do, and nothing else; in one statement.

        Sessions and owners are not looked at: `operations.disable_user` revokes the one and asks
        for the other.

        Args:
            key: The id of the user.
            status: The new status.
            expected: The present one, where it matters: of N concurrent callers who expect one
                status and set another, one succeeds.

        Raises:
            NotFoundError: There is no such user.
            InvalidTransitionError: The user has another status than *expected*.
            InvalidValueError: It is no status.
        """
        where = [User.id == key, *([] if expected is None else [User.status == expected])]
        change = update(User).where(*where).values(status=status).returning(User)
        async with self.unit.savepoint():
            found: User | None = (await self._write(change, CHECKED)).scalar()
        if found is None:
            await self.require(key)
            raise InvalidTransitionError("the user has another status than expected")
        return found

    @override
    async def delete(self, key: UUID, *, include_deleted: bool = False) -> NoReturn:
        """Refuse: tables refer to users without a foreign key, and a tenant needs its last owner.

        Raises:
            ReferencedError: Always; `operations.delete_user` deletes a user.
        """
        raise ReferencedError("a user is deleted by `operations.delete_user`")
