"""The rules of the lock, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb.auth.lockouts import Attempt, LockoutPolicy, Past, judge, said
from agentdb.auth.people import LoginOutcome
from agentdb.auth.values import LoginResult, UserStatus
from agentdb.errors import InvalidValueError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = LockoutPolicy()
MINUTE = timedelta(minutes=1)
ACTIVE, LOCKED = UserStatus.ACTIVE, UserStatus.LOCKED


def attempt(status: UserStatus, result: str, past: Past) -> Attempt:
    """Return what becomes of an attempt at this moment."""
    return judge(status, said(result, None), past, NOW, POLICY)


@given(
    status=st.sampled_from(UserStatus),
    result=st.sampled_from(["success", "failure"]),
    failures=st.integers(0, 10),
    locked_at=st.none() | st.integers(0, 30).map(lambda minutes: NOW - minutes * MINUTE),
)
def test_an_account_opens_by_a_success_alone(
    status: UserStatus, result: str, failures: int, locked_at: datetime | None
) -> None:
    """And only an active one, or one whose lock is over; each attempt leaves its event."""
    past = Past(failures, locked_at)
    found = attempt(status, result, past)
    over = locked_at is not None and NOW - locked_at >= POLICY.lock_for
    opens = result == "success" and (status == ACTIVE or (status == LOCKED and over))

    assert (found.outcome.status == ACTIVE and result == "success") == opens
    assert (found.events[0][0] == LoginResult.SUCCESS) == opens
    assert found.outcome.status == status or (status, found.outcome.status) in {
        (ACTIVE, LOCKED),
        (LOCKED, ACTIVE),
    }


@pytest.mark.parametrize(("failures", "locks"), [(0, False), (3, False), (4, True), (9, True)])
def test_the_fifth_failure_locks(failures: int, *, locks: bool) -> None:
    """It leaves two events: its own, and that of the lock."""
    found = attempt(ACTIVE, "failure", Past(failures, None))
    events = [("failure", "invalid_password")]

    if locks:
        assert found.outcome == LoginOutcome(LOCKED, NOW + POLICY.lock_for)
        assert list(found.events) == [*events, ("locked", "lockout_threshold")]
    else:
        assert found == Attempt(tuple(found.events), LoginOutcome(ACTIVE))
        assert list(found.events) == events


@pytest.mark.parametrize("result", ["success", "failure"])
def test_a_lock_holds_to_its_last_moment(result: str) -> None:
    """Then a success opens it; a failure leaves it, and counts."""
    locked_at = NOW - POLICY.lock_for
    held = attempt(LOCKED, result, Past(0, locked_at + timedelta(microseconds=1)))
    over = attempt(LOCKED, result, Past(0, locked_at))

    assert held.outcome == LoginOutcome(LOCKED, NOW + timedelta(microseconds=1))
    assert held.events == (("locked", "status_locked"),)
    assert over.outcome == (
        LoginOutcome(ACTIVE) if result == "success" else LoginOutcome(LOCKED, NOW)
    )


def test_a_lock_by_hand_has_no_end() -> None:
    """Nothing in the log says when it began."""
    found = attempt(LOCKED, "success", Past(0, None))

    assert found.outcome == LoginOutcome(LOCKED, None)


@pytest.mark.parametrize("status", [UserStatus.DISABLED, UserStatus.PENDING])
def test_a_closed_account_neither_opens_nor_locks(status: UserStatus) -> None:
    """A right password is a failure with the status as its reason."""
    right = attempt(status, "success", Past(9, NOW))
    wrong = attempt(status, "failure", Past(9, NOW))

    assert right == Attempt(((LoginResult.FAILURE, status.value),), LoginOutcome(status))
    assert wrong == Attempt(((LoginResult.FAILURE, "invalid_password"),), LoginOutcome(status))


@pytest.mark.parametrize(
    ("failures", "window", "lock"),
    [(0, MINUTE, MINUTE), (True, MINUTE, MINUTE), (1, 0 * MINUTE, MINUTE), (1, MINUTE, -MINUTE)],
)
def test_a_policy_that_makes_no_sense_is_refused(
    failures: int, window: timedelta, lock: timedelta
) -> None:
    """One that would lock everybody, or nobody."""
    with pytest.raises(InvalidValueError):
        LockoutPolicy(failures, window, lock)


@pytest.mark.parametrize("result", ["locked", "", "SUCCESS"])
def test_an_attempt_is_a_success_or_a_failure(result: str) -> None:
    """Whether it is locked out is not for the caller to say."""
    with pytest.raises(InvalidValueError):
        said(result, None)
