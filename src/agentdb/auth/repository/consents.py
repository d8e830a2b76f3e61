"""Agreements of users to versions of policies."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.auth.models import UserConsent
from agentdb.paging import Page
from agentdb.repository import Repository


class UserConsentRepository(Repository[UserConsent, UUID]):
    """Agreements of users to versions of policies."""

    model = UserConsent

    async def accept(
        self,
        user_id: UUID,
        policy_key: str,
        version: str,
        *,
        ip_hash: str | None = None,
        user_agent_hash: str | None = None,
        now: datetime | None = None,
    ) -> tuple[UserConsent, bool]:
        """Record that a user agrees to a version of a policy; the first time stands.

        N concurrent calls all succeed and leave one row, that of the first.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            policy_key: The policy, for example ``terms``.
            version: Its version.
            ip_hash: Digest of the address that agreed.
            user_agent_hash: Digest of the program that agreed.
            now: The clock of the agreement.

        Returns:
            The row, and whether it is new.

        Raises:
            NotFoundError: There is no such user.
            InvalidValueError: A column refuses its value.
        """
        at = self.unit.now(now)
        key = {"user_id": user_id, "policy_key": policy_key, "version": version}
        seen = {"ip_hash": ip_hash, "user_agent_hash": user_agent_hash}
        row = {**key, **seen, "accepted_at": at, "created_at": at}
        return await self.upsert(row, list(key), update=())

    async def latest(self, user_id: UUID, policy_key: str) -> UserConsent | None:
        """Return what the user has agreed to last of a policy, if anything."""
        query = self._select(UserConsent.user_id == user_id, UserConsent.policy_key == policy_key)
        newest = query.order_by(UserConsent.accepted_at.desc(), UserConsent.id.desc()).limit(1)
        return (await self._entities(newest)).one_or_none()

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserConsent]:
        """Return a page of the user's consents, newest first."""
        return await self._newest(UserConsent.user_id == user_id, after=after, limit=limit)
