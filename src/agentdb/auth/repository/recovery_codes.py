"""Recovery codes of users, unused and used."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update

from agentdb.auth.models import (
    UserRecoveryCode,
)
from agentdb.auth.repository.users import UserRepository
from agentdb.checks import check_text, check_values
from agentdb.driver_errors import orm_errors
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenancy import CHECKED


class UserRecoveryCodeRepository(Repository[UserRecoveryCode, UUID]):
    """Recovery codes of users, unused and used."""

    model = UserRecoveryCode

    async def replace(
        self, user_id: UUID, code_hashes: Iterable[str], *, now: datetime | None = None
    ) -> int:
        """Store a new set of codes for a user, in the place of all there were.

        Under the lock of the user: of N concurrent calls one set is left whole, the last one.

        Args:
            user_id: The user.
            code_hashes: Digests of the codes, see `agentdb.token_digest`; each counts once.
            now: The clock of the codes.

        Returns:
            How many codes there are.

        Raises:
            NotFoundError: There is no such user.
            InvalidValueError: A digest is refused.
        """
        digests = check_values(code_hashes, "digests")
        hashes = dict.fromkeys(check_text(digest, "a digest") for digest in digests)
        async with self.unit.savepoint():
            await UserRepository(self.unit).require(user_id, lock=True)
            at = await self.unit.read_clock(now)
            await self._delete_all(user_id)
            await self.add_many(
                UserRecoveryCode(user_id=user_id, code_hash=code_hash, created_at=at)
                for code_hash in hashes
            )
        return len(hashes)

    async def _delete_all(self, user_id: UUID) -> None:
        chosen = delete(UserRecoveryCode).where(UserRecoveryCode.user_id == user_id)
        gone = await self._write(chosen.returning(UserRecoveryCode.id), CHECKED)
        for key in gone.scalars():
            self.unit.forget(UserRecoveryCode, (key,))

    async def consume(self, user_id: UUID, code_hash: str, *, now: datetime | None = None) -> bool:
        """Use up a code of the user.

        One statement: of N concurrent calls with one code, one returns True.

        Returns:
            False if the user has no such unused code.
        """
        chosen = update(UserRecoveryCode).where(
            UserRecoveryCode.user_id == user_id,
            UserRecoveryCode.code_hash == code_hash,
            UserRecoveryCode.used_at.is_(None),
        )
        chosen = chosen.values(used_at=self.unit.now(now)).returning(UserRecoveryCode)
        with orm_errors():
            return bool((await self._write(chosen, CHECKED)).scalars().all())

    async def count_left(self, user_id: UUID) -> int:
        """Return how many unused codes the user has."""
        return await self.count(
            UserRecoveryCode.user_id == user_id, UserRecoveryCode.used_at.is_(None)
        )

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserRecoveryCode]:
        """Return a page of the user's recovery codes, newest first."""
        return await self._newest(UserRecoveryCode.user_id == user_id, after=after, limit=limit)
