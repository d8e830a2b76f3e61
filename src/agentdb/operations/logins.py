"""Attempts to log in, and the lock that too many failures put on an account."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.lockouts import (
    LOCK_FOR,
    MAX_FAILURES,
    WINDOW,
    LockoutPolicy,
    judge,
    read_past,
    said,
)
from agentdb.auth.people import AttemptFields, LoginOutcome
from agentdb.auth.repository.login_events import login_event
from agentdb.auth.values import LoginResult
from agentdb.checks import check_fields
from agentdb.unit_of_work import UnitOfWork


async def record_login(
    uow: UnitOfWork,
    user_id: UUID,
    result: LoginResult,
    *,
    max_failures: int = MAX_FAILURES,
    window: timedelta = WINDOW,
    lock_for: timedelta = LOCK_FOR,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
    **fields: Unpack[AttemptFields],
) -> LoginOutcome:
    """Record an attempt to log in and return what it leaves, in a system unit.

    Under the lock of the user, so that of N concurrent failures exactly the *max_failures*-th since
    the last success locks the user and leaves one ``lockout_threshold`` event. Until *lock_for* has
    passed every attempt, even with the right password, is recorded as ``locked``; the first success
    after it opens the account again. An attempt of a disabled or pending user is a failure.

    Nothing is raised for a refused attempt: commit the unit, else there is no trace of it.

    Args:
        uow: A system unit of work.
        user_id: The user.
        result: Whether the password was right: ``success`` or ``failure``.
        max_failures: The failure that locks, 1 or more.
        window: How far back failures count.
        lock_for: How long the lock lasts.
        tenant_id: The tenant that the attempt was for, if any.
        now: The clock of the attempt.
        fields: Further columns of the event.

    Returns:
        The status of the user: the attempt counts as a log-in where it is ``active``.

    Raises:
        NotFoundError: There is no such user or tenant.
        InvalidValueError: A value is refused.
        PermissionDeniedError: The unit belongs to a tenant.
    """
    check_fields(fields, AttemptFields)
    uow.scope.require_system("a log-in")
    policy = LockoutPolicy(max_failures, window, lock_for)
    event = said(result, fields.get("reason"))
    user = await uow.users.require(user_id, lock=True)
    at = await uow.read_clock(now)
    past = await read_past(uow, user_id, at - window)
    attempt = judge(user.status, event, past, at, policy)
    rows = [
        login_event(user_id, ended, tenant_id, at, {**fields, "reason": reason})
        for ended, reason in attempt.events
    ]
    await uow.user_login_events.add_many(rows)
    if attempt.outcome.status != user.status:
        await uow.users.update(user_id, status=attempt.outcome.status)
    return attempt.outcome
