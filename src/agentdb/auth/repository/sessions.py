"""Sessions of users, by device; pages begin with those seen last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import Unpack

from agentdb.auth.credentials import DeviceFields
from agentdb.auth.models import (
    UserSession,
)
from agentdb.auth.revocations import sessions
from agentdb.canonical import canonical_fingerprint, cut_user_agent
from agentdb.checks import check_fields
from agentdb.errors import InvalidTransitionError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenancy import CONFINED, Write
from agentdb.types import uuid_pk


class UserSessionRepository(Repository[UserSession, UUID]):
    """Sessions of users, by device; pages begin with those seen last."""

    model = UserSession
    newest = "last_seen_at"

    async def open(
        self,
        user_id: UUID,
        refresh_jti: str,
        *,
        id: UUID | None = None,  # noqa: A002 -- named as the column
        fingerprint: str | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **device: Unpack[DeviceFields],
    ) -> UserSession:
        """Store a session, or give a live one of the user its next refresh token.

        One statement: N concurrent calls with one id leave one session. It is never taken from
        another user, and what was revoked stays so. See `agentdb.operations.issue_session`, which
        checks that the user may log in.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            refresh_jti: The id of the refresh token in use.
            id: The session; a new one unless given.
            fingerprint: The device; more than 128 characters are stored as a digest.
            tenant_id: The tenant, in a system unit.
            now: The clock of the session.
            device: Where it is; a user agent is cut to its column.

        Raises:
            NotFoundError: There is no such user, or the id is another user's session.
            InvalidTransitionError: The session was revoked.
            DuplicateError: The id of the token is taken.
            InvalidValueError: A column refuses its value.
        """
        check_fields(device, DeviceFields)
        tenant, at = self.unit.scope.owner(tenant_id), self.unit.now(now)
        given = {**_checked(fingerprint, device), "refresh_jti": refresh_jti}
        key = id or uuid_pk()
        owner = {"id": key, "user_id": user_id, "tenant_id": tenant}
        stamps = {"created_at": at, "updated_at": at, "last_seen_at": at}
        async with self.unit.savepoint():
            await self.unit.check(Write(self.model, owner))
            row = await self._put({**owner, **given, **stamps}, [*given, "updated_at"])
        return row or await self._refuse(key, user_id, tenant)

    async def _put(self, values: Mapping[str, Any], taken: list[str]) -> UserSession | None:
        """Insert a session, or update the one with its id if that is live and of the same user."""
        insert = (postgresql if self.unit.is_postgresql else sqlite).insert(self.model)
        statement = insert.values(**values)
        greatest = func.greatest if self.unit.is_postgresql else func.max
        seen, new = sessions.c.last_seen_at, statement.excluded
        changes: dict[str, Any] = {name: new[name] for name in taken}
        changes["last_seen_at"] = greatest(func.coalesce(seen, new.last_seen_at), new.last_seen_at)
        same = [sessions.c[name] == values[name] for name in ("user_id", "tenant_id")]
        live = and_(*same, sessions.c.revoked_at.is_(None))
        put = statement.on_conflict_do_update(
            index_elements=[sessions.c.id], set_=changes, where=live
        )
        found = await self._write(put.returning(self.model), CONFINED)
        row: UserSession | None = found.scalar_one_or_none()
        return row

    async def _refuse(self, key: UUID, user_id: UUID, tenant: UUID) -> UserSession:
        row = await self.get(key)
        if row is None or (row.user_id, row.tenant_id) != (user_id, tenant):
            raise self._not_found()
        raise InvalidTransitionError("the session was revoked")

    async def touch(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        user_id: UUID,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Note that a live session of the user was seen now; the stamp never moves back.

        Returns:
            False if nothing changed: it is revoked, not the user's, unknown, or was seen later.
        """
        at, seen = self.unit.now(now), UserSession.last_seen_at
        mine = [*self._of(tenant_id), UserSession.user_id == user_id]
        earlier = or_(seen.is_(None), seen < at)
        live = UserSession.revoked_at.is_(None)
        return (
            await self._compare_and_set(id, *mine, live, earlier, last_seen_at=at, updated_at=at)
        ) is not None

    async def has_device(
        self, user_id: UUID, fingerprint: str, *, tenant_id: UUID | None = None
    ) -> bool:
        """Return whether the user has, or had, a session on the device with this fingerprint."""
        known = UserSession.fingerprint == canonical_fingerprint(fingerprint)
        return await self.exists(*self._of(tenant_id), UserSession.user_id == user_id, known)

    async def by_refresh_jti(self, refresh_jti: str) -> UserSession | None:
        """Return the session whose refresh token has this id, if any."""
        return await self._by(UserSession.refresh_jti, refresh_jti)

    async def for_user(
        self,
        user_id: UUID,
        *,
        include_revoked: bool = False,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[UserSession]:
        """Return a page of the user's live sessions, last seen first.

        Args:
            user_id: The user.
            include_revoked: See revoked ones too.
            after: Cursor of the page before; None starts.
            limit: Sessions of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.
        """
        where = [*self._of(tenant_id), UserSession.user_id == user_id]
        where += [] if include_revoked else [UserSession.revoked_at.is_(None)]
        return await self.page(
            *where,
            order=[UserSession.last_seen_at.desc(), UserSession.created_at.desc()],
            after=after,
            limit=limit,
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserSession]:
        """Return a page of the tenant's sessions, last seen first."""
        return await self._newest(UserSession.tenant_id == tenant_id, after=after, limit=limit)

    def _of(self, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        return [] if tenant is None else [UserSession.tenant_id == tenant]


def _checked(fingerprint: str | None, device: DeviceFields) -> dict[str, Any]:
    """Return the columns that tell of the device, as they are stored."""
    found: dict[str, Any] = dict(device)
    agent = device.get("user_agent")
    if agent is not None:
        found["user_agent"] = cut_user_agent(agent)
    if fingerprint is not None:
        found["fingerprint"] = canonical_fingerprint(fingerprint)
    return found
