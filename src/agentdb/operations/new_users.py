"""What every user begins with."""

from __future__ import annotations

from datetime import datetime

from agentdb.auth.models import PasswordHistory, User
from agentdb.auth.people import NewUser
from agentdb.canonical import canonical_email
from agentdb.errors import DuplicateError
from agentdb.unit_of_work import UnitOfWork


async def add_user(uow: UnitOfWork, new: NewUser, *, now: datetime | None = None) -> User:
    """Store a user with profile and password history.

    Raises:
        DuplicateError: The address is taken.
        InvalidValueError: A value is refused.
    """
    user, created = await add_or_find_user(uow, new, now=now)
    if not created:
        raise DuplicateError("the address is taken", constraint="uq_users_email")
    return user


async def add_or_find_user(
    uow: UnitOfWork, new: NewUser, *, now: datetime | None = None
) -> tuple[User, bool]:
    """Store a user with profile and password history, unless the address is taken.

    Race-safe: of N concurrent calls with one address one stores a user, and all return it.

    Returns:
        The user with the address, and whether it is new; one who was there before is unchanged.

    Raises:
        InvalidValueError: A value is refused.
    """
    values = {
        "email": canonical_email(new.email),
        "password_hash": new.password_hash,
        "password_pepper_version": new.pepper_version,
        "status": new.status,
    }
    user, created = await uow.users.upsert(values, ["email"], update=())
    if created:
        await uow.user_profiles.put(user.id, display_name=new.display_name)
        await uow.password_history.add(
            PasswordHistory(
                user_id=user.id,
                password_hash=new.password_hash,
                password_pepper_version=new.pepper_version,
                created_at=uow.stamp(now),
            )
        )
    return user, created
