"""Users of all tenants."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

from typing_extensions import override

from agentdb.auth.models import (
    User,
)
from agentdb.canonical import canonical_email
from agentdb.errors import InvalidValueError, ReferencedError
from agentdb.repository import Repository


class UserRepository(Repository[User, UUID]):
    """Users of all tenants."""

    model = User

    async def by_email(self, email: str) -> User | None:
        """Return the user with the address in its canonical form, if any."""
        try:
            canonical = canonical_email(email)
        except InvalidValueError:
            return None
        return await self._by(User.email, canonical)

    @override
    async def delete(self, key: UUID, *, include_deleted: bool = False) -> NoReturn:
        """Refuse: tables refer to users without a foreign key, and a tenant needs its last owner.

        Raises:
            ReferencedError: Always; `operations.delete_user` deletes a user.
        """
        raise ReferencedError("a user is deleted by `operations.delete_user`")
