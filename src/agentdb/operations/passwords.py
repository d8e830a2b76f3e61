"""Changing a password, which ends what was open under the old one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from inspect import isawaitable, iscoroutinefunction
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.events import SecurityEventFields
from agentdb.auth.models import User
from agentdb.auth.people import PasswordEntry
from agentdb.auth.repository.password_history import REMEMBERED
from agentdb.auth.revocations import revoke_access
from agentdb.auth.values import RevokedReason, SecurityEventType, UserStatus
from agentdb.checks import check_count, check_fields
from agentdb.errors import InvalidValueError, PasswordReusedError
from agentdb.unit_of_work import UnitOfWork

ReuseCheck = Callable[[Sequence[PasswordEntry]], bool | Awaitable[bool]]
"""Tells whether the new password is one of these; it may take its time."""


async def change_password(
    uow: UnitOfWork,
    user_id: UUID,
    password_hash: str,
    pepper_version: str,
    is_reused: ReuseCheck,
    *,
    history: int = REMEMBERED,
    keep_session_id: UUID | None = None,
    event_type: str = SecurityEventType.PASSWORD_CHANGE,
    now: datetime | None = None,
    **event: Unpack[SecurityEventFields],
) -> User:
    """Give a user a new password, and revoke the sessions and tokens of the old one.

    In a system unit, as sessions of all tenants end. All or nothing. A locked user becomes active;
    disabled and pending ones stay what they are.

    *is_reused* runs before the user is locked, so that nobody waits for it; only if the passwords
    changed in the meantime it runs again, under the lock. A function that is not async runs in a
    thread. On SQLite other writers wait for the whole unit nevertheless.

    Args:
        uow: A system unit of work.
        user_id: The user.
        password_hash: Hash of the new password, never the password.
        pepper_version: Version of the pepper in the hash.
        is_reused: Compares the new password, which only the caller has, with the current one and
            the last ones, newest first.
        history: How many of the last passwords are compared and kept; 0 keeps none.
        keep_session_id: A session that stays, with its tokens: the one that asked.
        event_type: Of the security event.
        now: The clock of the change.
        event: Further columns of the security event.

    Raises:
        PasswordReusedError: The password is the current one or among the last ones.
        NotFoundError: There is no such user.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    check_fields(event, SecurityEventFields)
    uow.scope.require_system("a change of a password")
    check_count(history, "a history", least=0)
    if not callable(is_reused):
        raise InvalidValueError("expects a function that compares passwords")
    seen = await _entries(uow, await uow.users.require(user_id), history)
    await _refuse_reused(is_reused, seen)
    async with uow.savepoint():
        user = await uow.users.require(user_id, lock=True)
        present = await _entries(uow, user, history)
        if present != seen:
            await _refuse_reused(is_reused, present)
        at = await uow.read_clock(now)
        await uow.security_events.record(event_type, user_id=user_id, now=at, **event)
        await uow.password_history.record(user_id, password_hash, pepper_version, now=at)
        await uow.password_history.trim(user_id, history)
        await revoke_access(
            uow, user_id, RevokedReason.PASSWORD_CHANGE, at, keep_session_id=keep_session_id
        )
        return await uow.users.update(
            user_id,
            password_hash=password_hash,
            password_pepper_version=pepper_version,
            status=UserStatus.ACTIVE if user.status == UserStatus.LOCKED else user.status,
        )


async def _entries(uow: UnitOfWork, user: User, history: int) -> list[PasswordEntry]:
    rows = await uow.password_history.recent(user.id, limit=history)
    current = PasswordEntry(user.password_hash, user.password_pepper_version)
    last = [PasswordEntry(row.password_hash, row.password_pepper_version) for row in rows]
    return [current, *(entry for entry in last if entry != current)]


async def _refuse_reused(is_reused: ReuseCheck, entries: Sequence[PasswordEntry]) -> None:
    call = getattr(is_reused, "__call__", is_reused)  # noqa: B004 -- an object may be called too
    if iscoroutinefunction(is_reused) or iscoroutinefunction(call):
        answer = is_reused(entries)
    else:
        answer = await asyncio.to_thread(is_reused, entries)
    if isawaitable(answer):
        answer = await answer
    if answer:
        raise PasswordReusedError("the password is the current one or among the last ones")
