"""When failed attempts lock a user out, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, exists, func, select, tuple_

from agentdb.auth.models import UserLoginEvent
from agentdb.auth.people import LoginOutcome
from agentdb.auth.values import LoginReason, LoginResult, UserStatus
from agentdb.checks import check_count, check_duration, check_text
from agentdb.errors import InvalidValueError
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit

_events: Any = table_of(UserLoginEvent)

MAX_FAILURES = 5
WINDOW = timedelta(minutes=15)
LOCK_FOR = timedelta(minutes=15)

_REASONS: dict[str, LoginReason] = {
    LoginResult.SUCCESS: LoginReason.LOGIN,
    LoginResult.FAILURE: LoginReason.INVALID_PASSWORD,
}
_CLOSED = {
    UserStatus.DISABLED: LoginReason.DISABLED,
    UserStatus.PENDING: LoginReason.PENDING,
}


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """How many failures lock a user out.

    Attributes:
        max_failures: The failure that does, counted from the last success.
        window: How far back failures count.
        lock_for: How long no attempt succeeds then.
    """

    max_failures: int = MAX_FAILURES
    window: timedelta = WINDOW
    lock_for: timedelta = LOCK_FOR

    def __post_init__(self) -> None:
        """Refuse a policy that would lock everybody, or nobody."""
        check_count(self.max_failures, "a number of failures")
        check_duration(self.window, "a window", positive=True)
        check_duration(self.lock_for, "a lock", positive=True)


class Past(NamedTuple):
    """What the log says of a user since the last success.

    Attributes:
        failures: Failed attempts in the window.
        locked_at: The last lock-out.
    """

    failures: int
    locked_at: datetime | None


Event: TypeAlias = tuple[LoginResult, str]
"""The result of an event and its reason."""


class Attempt(NamedTuple):
    """An attempt as it is recorded.

    Attributes:
        events: What it adds to the log, in order.
        outcome: What it leaves.
    """

    events: tuple[Event, ...]
    outcome: LoginOutcome


def said(result: str, reason: str | None) -> Event:
    """Return what a caller says of an attempt, with the usual reason unless one is given.

    Raises:
        InvalidValueError: The result is neither a success nor a failure.
    """
    if check_text(result, "a result") not in _REASONS:
        raise InvalidValueError("an attempt is a `success` or a `failure`")
    return LoginResult(result), reason or _REASONS[result]


def judge(
    status: UserStatus, event: Event, past: Past, at: datetime, policy: LockoutPolicy
) -> Attempt:
    """Return what becomes of an attempt that would be *event*.

    Nothing succeeds while the user is locked out, disabled or pending. A lock that has run out
    stays until a success, and failures go on counting.
    """
    result, reason = event
    lock_end = None if past.locked_at is None else past.locked_at + policy.lock_for
    until = lock_end if status == UserStatus.LOCKED else None
    if status == UserStatus.LOCKED and (until is None or at < until):
        refused = (LoginResult.LOCKED, LoginReason.STATUS_LOCKED)
        return Attempt((refused,), LoginOutcome(status, until))
    if status in _CLOSED:
        why = _CLOSED[status] if result == LoginResult.SUCCESS else reason
        return Attempt(((LoginResult.FAILURE, why),), LoginOutcome(status))
    if result == LoginResult.SUCCESS:
        return Attempt((event,), LoginOutcome(UserStatus.ACTIVE))
    if past.failures + 1 < policy.max_failures:
        return Attempt((event,), LoginOutcome(status, until))
    lock = (LoginResult.LOCKED, LoginReason.LOCKOUT_THRESHOLD)
    return Attempt((event, lock), LoginOutcome(UserStatus.LOCKED, at + policy.lock_for))


async def read_past(unit: Unit, user_id: UUID, since: datetime) -> Past:
    """Return what the log says of a user since the last success, in one statement.

    Args:
        unit: The unit; a tenant's sees the events of its tenant.
        user_id: The user.
        since: From when on failures count.
    """
    tenant = unit.scope.filter(None)
    await unit.session.flush()
    lockout = _last_lockout(user_id, tenant).label("locked_at")
    row = (await unit.execute(_failures(user_id, tenant, since).add_columns(lockout))).one()
    return Past(row.failures, row.locked_at)


async def count_failures(unit: Unit, user_id: UUID, since: datetime) -> int:
    """Return how many attempts failed after *since* and after the last success."""
    query = _failures(user_id, unit.scope.filter(None), since)
    await unit.session.flush()
    count: int = (await unit.execute(query)).scalar_one()
    return count


def _failures(user_id: UUID, tenant: UUID | None, since: datetime) -> Select[Any]:
    where = _of(_events.c, user_id, tenant, LoginResult.FAILURE)
    where += [_events.c.created_at > since, ~_succeeded_later(_events, user_id, tenant)]
    return select(func.count().label("failures")).select_from(_events).where(*where)


def _last_lockout(user_id: UUID, tenant: UUID | None) -> ScalarSelect[Any]:
    locks = _events.alias("lockout")
    where = _of(locks.c, user_id, tenant, LoginResult.LOCKED)
    where += [locks.c.reason == LoginReason.LOCKOUT_THRESHOLD]
    query = select(locks.c.created_at).where(*where, ~_succeeded_later(locks, user_id, tenant))
    return query.order_by(locks.c.created_at.desc()).limit(1).scalar_subquery()


def _succeeded_later(events: Any, user_id: UUID, tenant: UUID | None) -> ColumnElement[bool]:
    """Whether a success follows an event; ids tell the order of what has one stamp."""
    later = _events.alias("later")
    follows = tuple_(later.c.created_at, later.c.id) > tuple_(events.c.created_at, events.c.id)
    where = _of(later.c, user_id, tenant, LoginResult.SUCCESS)
    return exists(select(later.c.id).where(*where, follows).correlate(events))


def _of(
    columns: Any, user_id: UUID, tenant: UUID | None, result: LoginResult
) -> list[ColumnElement[bool]]:
    mine = [] if tenant is None else [columns.tenant_id == tenant]
    return [columns.user_id == user_id, columns.result == result, *mine]
