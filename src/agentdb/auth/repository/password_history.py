"""Passwords that users have or had, kept to refuse their reuse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select

from agentdb.auth.models import (
    PasswordHistory,
)
from agentdb.auth.owners import lock_user
from agentdb.checks import check_count
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository
from agentdb.tenancy import CHECKED
from agentdb.unit import TICK

REMEMBERED = 5
"""How many passwords of a user are kept, unless the host says otherwise."""


class PasswordHistoryRepository(AppendOnlyRepository[PasswordHistory, UUID]):
    """Passwords that users have or had, kept to refuse their reuse."""

    model = PasswordHistory

    async def recent(self, user_id: UUID, *, limit: int = REMEMBERED) -> Sequence[PasswordHistory]:
        """Return the user's newest entries, newest first.

        Raises:
            InvalidValueError: The limit is none.
        """
        mine = PasswordHistory.user_id == user_id
        return await self.all(mine, order=[PasswordHistory.created_at.desc()], limit=limit)

    async def record(
        self,
        user_id: UUID,
        password_hash: str,
        pepper_version: str,
        *,
        now: datetime | None = None,
    ) -> PasswordHistory:
        """Add an entry that is later than all of the user's, whatever the clocks say.

        Under the lock of the user: N concurrent calls leave N entries with different stamps.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            password_hash: The hash.
            pepper_version: Version of the pepper in it.
            now: The clock of the entry.

        Raises:
            NotFoundError: There is no such user.
            InvalidValueError: A column refuses its value.
        """
        await lock_user(self.unit, user_id)
        newest = select(func.max(PasswordHistory.created_at))
        newest = newest.where(PasswordHistory.user_id == user_id)
        last: datetime | None = (await self.unit.execute(newest)).scalar()
        at = await self.unit.read_clock(now)
        return await self.add(
            PasswordHistory(
                user_id=user_id,
                password_hash=password_hash,
                password_pepper_version=pepper_version,
                created_at=at if last is None else max(at, last + TICK),
            )
        )

    async def trim(self, user_id: UUID, keep: int) -> int:
        """Delete the user's entries but the newest, and return how many that were.

        Args:
            user_id: The user.
            keep: How many stay; 0 deletes all.

        Raises:
            InvalidValueError: It is no number from 0.
        """
        check_count(keep, "a history", least=0)
        mine = PasswordHistory.user_id == user_id
        newest = (PasswordHistory.created_at.desc(), PasswordHistory.id.desc())
        kept = select(PasswordHistory.id).where(mine).order_by(*newest).limit(keep)
        gone = delete(PasswordHistory).where(mine, PasswordHistory.id.not_in(kept))
        keys = (await self._write(gone.returning(PasswordHistory.id), CHECKED)).scalars().all()
        for key in keys:
            self.unit.forget(PasswordHistory, (key,))
        return len(keys)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PasswordHistory]:
        """Return a page of the user's entries, newest first."""
        return await self._newest(PasswordHistory.user_id == user_id, after=after, limit=limit)
