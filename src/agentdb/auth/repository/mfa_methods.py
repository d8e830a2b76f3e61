"""Second factors of users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, or_

from agentdb.auth.models import (
    UserMfaMethod,
)
from agentdb.auth.repository.users import UserRepository
from agentdb.auth.values import MfaMethodType
from agentdb.errors import DuplicateError, InvalidTransitionError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.types import JsonObject, UTCDateTime, Uuid

_LABEL = "uq_user_mfa_methods_user_id_label"
_KEPT = 31
"""Characters of a label that stay when it is freed: a tilde and the hex of the id follow."""


class UserMfaMethodRepository(Repository[UserMfaMethod, UUID]):
    """Second factors of users. One counts once it is confirmed, until it is revoked."""

    model = UserMfaMethod

    async def enroll_totp(
        self,
        user_id: UUID,
        secret_encrypted: bytes,
        *,
        label: str | None = None,
        now: datetime | None = None,
    ) -> UserMfaMethod:
        """Store a generator of time-based codes (RFC 6238), which does not count yet.

        Under the lock of the user. It takes the place of one with the label that was never
        confirmed; without a label, of such a one of the same type.

        Args:
            user_id: The user.
            secret_encrypted: The shared secret, encrypted by the host.
            label: What the user calls it; unique among the user's methods.
            now: The clock of the enrolment.

        Raises:
            NotFoundError: There is no such user.
            DuplicateError: A confirmed method has the label.
            InvalidValueError: A column refuses its value.
        """
        row = UserMfaMethod(
            user_id=user_id,
            method_type=MfaMethodType.TOTP,
            label=label,
            secret_encrypted=secret_encrypted,
        )
        return await self._enroll(row, now)

    async def enroll_webauthn(
        self,
        user_id: UUID,
        credential: JsonObject,
        *,
        label: str | None = None,
        now: datetime | None = None,
    ) -> UserMfaMethod:
        """Store a WebAuthn credential, which does not count yet; as `enroll_totp` otherwise."""
        row = UserMfaMethod(
            user_id=user_id,
            method_type=MfaMethodType.WEBAUTHN,
            label=label,
            credential_json=credential,
        )
        return await self._enroll(row, now)

    async def _enroll(self, row: UserMfaMethod, now: datetime | None) -> UserMfaMethod:
        async with self.unit.savepoint():
            await UserRepository(self.unit).require(row.user_id, lock=True)
            row.created_at = row.updated_at = await self.unit.read_clock(now)
            await self._make_room(row)
            return await self.add(row)

    async def _make_room(self, row: UserMfaMethod) -> None:
        same = [UserMfaMethod.user_id == row.user_id, UserMfaMethod.label == row.label]
        if row.label is None:
            # Several methods may be without one; a half-done enrolment is begun anew.
            same += [UserMfaMethod.method_type == row.method_type]
            same += [UserMfaMethod.verified_at.is_(None), UserMfaMethod.revoked_at.is_(None)]
        for held in await self.all(*same):
            if held.revoked_at is not None:
                await self.update(held.id, label=_freed(held.id))
            elif held.verified_at is not None:
                raise DuplicateError(f"{_LABEL} is taken", constraint=_LABEL)
            else:
                await self.delete(held.id)

    async def confirm(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        user_id: UUID,
        *,
        now: datetime | None = None,
    ) -> UserMfaMethod:
        """Let a method of the user count; repeated, the first time stays.

        Raises:
            NotFoundError: The user has no such method.
            InvalidTransitionError: It was revoked.
        """
        at = self.unit.now(now)
        new = [UserMfaMethod.verified_at.is_(None), UserMfaMethod.revoked_at.is_(None)]
        mine = UserMfaMethod.user_id == user_id
        row = await self._compare_and_set(id, mine, *new, verified_at=at, updated_at=at)
        row = row or await self.one(UserMfaMethod.id == id, mine)
        if row.revoked_at is not None:
            raise InvalidTransitionError("the method was revoked")
        return row

    async def revoke(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        user_id: UUID,
        reason: str,
        *,
        now: datetime | None = None,
    ) -> bool:
        """Revoke a method of the user, and free its label.

        Returns:
            False if it was revoked before, or the user has no such method.

        Raises:
            InvalidValueError: The id or the reason is refused.
        """
        Uuid().check(id)
        at = self.unit.now(now)
        row = await self._compare_and_set(
            id,
            UserMfaMethod.user_id == user_id,
            UserMfaMethod.revoked_at.is_(None),
            revoked_at=at,
            revoked_reason=reason,
            updated_at=at,
            label=_freed(id),
        )
        return row is not None

    async def use(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        user_id: UUID,
        step_started_at: datetime,
    ) -> bool:
        """Accept a code of the time step that began at *step_started_at*, once.

        One statement: of N concurrent calls with one step, one returns True. A step before one that
        was accepted is not accepted any more.

        Returns:
            False if the step is used up, or the user has no such method that counts.

        Raises:
            NaiveDatetimeError: The instant has no time zone.
            InvalidValueError: It is none.
        """
        last, step = UserMfaMethod.last_used_at, UTCDateTime().check(step_started_at)
        row = await self._compare_and_set(
            id,
            UserMfaMethod.user_id == user_id,
            *_COUNTS,
            or_(last.is_(None), last < step),
            last_used_at=step,
        )
        return row is not None

    async def active(self, user_id: UUID) -> Sequence[UserMfaMethod]:
        """Return the methods of the user that count, the oldest first."""
        order = [UserMfaMethod.created_at]
        return await self.all(UserMfaMethod.user_id == user_id, *_COUNTS, order=order)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserMfaMethod]:
        """Return a page of the user's second factors, newest first."""
        return await self._newest(UserMfaMethod.user_id == user_id, after=after, limit=limit)


_COUNTS = (UserMfaMethod.verified_at.is_not(None), UserMfaMethod.revoked_at.is_(None))


def _freed(key: UUID) -> Any:
    """Return the label of a revoked method: the beginning of what it was, and the id."""
    kept = func.substr(UserMfaMethod.label, 1, _KEPT)
    return kept.concat(literal(f"~{key.hex}"))
