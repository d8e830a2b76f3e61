"""References to users that no foreign key holds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.auth.models import User
from agentdb.errors import NotFoundError
from agentdb.tenancy.predicates import members_of, table_of
from agentdb.unit import Unit


async def user_text(unit: Unit, user: UUID) -> str:
    """Return the canonical text of a user's id, and keep the user from being deleted meanwhile.

    No foreign key does either. As with one, a tenant's unit names members of its tenant alone, a
    system unit people who have left it too.

    Raises:
        NotFoundError: There is no such user.
    """
    users: Any = table_of(User)
    query = select(users.c.id).where(users.c.id == user)
    if unit.tenant is not None:
        query = query.where(users.c.id.in_(members_of(unit.tenant)))
    found = await unit.execute(query.with_for_update(read=True, key_share=True))
    key: UUID | None = found.scalar_one_or_none()
    if key is None:
        raise NotFoundError("a reference to users leads nowhere")
    return str(key)
