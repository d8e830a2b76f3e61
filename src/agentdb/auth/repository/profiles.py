"""Profiles of users, one row each."""

from __future__ import annotations

from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.models import (
    UserProfile,
)
from agentdb.auth.people import ProfileFields
from agentdb.canonical import canonical_name
from agentdb.checks import check_fields
from agentdb.paging import Page
from agentdb.repository import Repository


class UserProfileRepository(Repository[UserProfile, UUID]):
    """Profiles of users, one row each."""

    model = UserProfile

    async def put(self, user_id: UUID, **fields: Unpack[ProfileFields]) -> UserProfile:
        """Set columns of a user's profile, made if there is none; the others stay as they are.

        Race-safe: N concurrent calls all succeed and leave one row.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            fields: Columns of the profile; in names, white space is trimmed and collapsed.

        Raises:
            NotFoundError: There is no such user.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, ProfileFields)
        row, _ = await self.upsert({"user_id": user_id, **fields, **_names(fields)}, ["user_id"])
        return row

    async def by_user_id(self, user_id: UUID) -> UserProfile | None:
        """Return the user's profile, if any."""
        return await self._by(UserProfile.user_id, user_id)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserProfile]:
        """Return a page with the user's profile alone."""
        return await self._newest(UserProfile.user_id == user_id, after=after, limit=limit)


def _names(fields: ProfileFields) -> dict[str, str]:
    given = {
        "display_name": fields.get("display_name"),
        "given_name": fields.get("given_name"),
        "family_name": fields.get("family_name"),
    }
    return {column: canonical_name(name) for column, name in given.items() if name is not None}
