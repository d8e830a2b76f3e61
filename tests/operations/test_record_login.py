from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.people import LoginOutcome
from agentdb.auth.values import LoginResult, UserStatus
from agentdb.errors import InvalidValueError, NotFoundError, PermissionDeniedError
from agentdb.operations import record_login
from agentdb.testing import Factory, run_concurrently

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
FAILURE, SUCCESS = LoginResult.FAILURE, LoginResult.SUCCESS
ACTIVE, LOCKED = UserStatus.ACTIVE, UserStatus.LOCKED


async def log(uow: UnitOfWork, user_id: UUID) -> Counter[tuple[str, str | None]]:
    """Return how many events of each kind a user has."""
    page = await uow.user_login_events.for_user(user_id, limit=500)
    return Counter((event.result, event.reason) for event in page)


async def test_the_fifth_failure_locks_until_a_success_after_the_lock(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The right password does not open it earlier; all attempts are in the log."""
    user = agentdb_make.user(status="active")
    async with agentdb_database.begin_system(reason="test") as uow:
        loaded = await uow.users.require(user.id)
        failed = [await record_login(uow, user.id, FAILURE, now=NOW) for _ in range(5)]
        assert failed == [*[LoginOutcome(ACTIVE)] * 4, LoginOutcome(LOCKED, LATER)]
        assert loaded.status == LOCKED
        early = await record_login(uow, user.id, SUCCESS, now=LATER - timedelta(seconds=1))
        opened = await record_login(uow, user.id, SUCCESS, reason="sso", now=LATER)
        assert (early, opened) == (LoginOutcome(LOCKED, LATER), LoginOutcome(ACTIVE))
        assert loaded.status == ACTIVE
        assert await log(uow, user.id) == {
            ("failure", "invalid_password"): 5,
            ("locked", "lockout_threshold"): 1,
            ("locked", "status_locked"): 1,
            ("success", "sso"): 1,
        }
        assert await record_login(uow, user.id, FAILURE, now=LATER) == LoginOutcome(ACTIVE)


async def test_a_success_forgets_the_failures(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """As does the window."""
    user = agentdb_make.user(status="active")
    async with agentdb_database.begin_system(reason="test") as uow:
        for now in (NOW, LATER):
            for _ in range(4):
                assert (await record_login(uow, user.id, FAILURE, now=now)).status == ACTIVE
        await record_login(uow, user.id, SUCCESS, now=LATER)
        for _ in range(4):
            assert (await record_login(uow, user.id, FAILURE, now=LATER)).status == ACTIVE
        assert (await record_login(uow, user.id, FAILURE, now=LATER)).status == LOCKED


async def test_a_failure_after_the_lock_counts_on(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Who goes on guessing is locked out again, though nobody has logged in between."""
    user = agentdb_make.user(status="active")
    async with agentdb_database.begin_system(reason="test") as uow:
        for _ in range(5):
            await record_login(uow, user.id, FAILURE, now=NOW)
        after = [await record_login(uow, user.id, FAILURE, now=LATER) for _ in range(5)]

    assert after == [
        *[LoginOutcome(LOCKED, LATER)] * 4,
        LoginOutcome(LOCKED, LATER + timedelta(minutes=15)),
    ]


@pytest.mark.parametrize("status", ["disabled", "pending"])
async def test_a_closed_account_stays_closed(
    agentdb_database: Database, agentdb_make: Factory, status: str
) -> None:
    """Not even failures change it; a right password is recorded as one."""
    user = agentdb_make.user(status=status)
    async with agentdb_database.begin_system(reason="test") as uow:
        for result in [SUCCESS, *[FAILURE] * 6]:
            assert (await record_login(uow, user.id, result, now=NOW)).status == status

        assert await log(uow, user.id) == {
            ("failure", status): 1,
            ("failure", "invalid_password"): 6,
        }


async def test_a_lock_by_hand_is_opened_by_hand(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """No success opens it, however late, and although there was a lock-out long ago."""
    user = agentdb_make.user(status="active")
    async with agentdb_database.begin_system(reason="test") as uow:
        for _ in range(5):
            await record_login(uow, user.id, FAILURE, now=NOW)
        await record_login(uow, user.id, SUCCESS, now=LATER)
        await uow.users.set_status(user.id, LOCKED)
        found = await record_login(uow, user.id, SUCCESS, now=LATER + timedelta(days=9))

    assert found == LoginOutcome(LOCKED)


REFUSED: dict[str, dict[str, Any]] = {
    "failures": {"max_failures": 0},
    "window": {"window": timedelta(0)},
    "result": {"result": "locked"},
    "reason": {"reason": "x" * 129},
    "address": {"ip_hash": "x" * 129},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_attempt_leaves_nothing(
    agentdb_database: Database, agentdb_make: Factory, name: str
) -> None:
    """No event, no lock; the unit goes on."""
    user = agentdb_make.user(status="active")
    given: dict[str, Any] = {"result": FAILURE, "max_failures": 1, **REFUSED[name]}
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await record_login(uow, user.id, given.pop("result"), **given)
        with pytest.raises(NotFoundError):
            await record_login(uow, uuid4(), FAILURE)
        with pytest.raises(NotFoundError):
            await record_login(uow, user.id, FAILURE, max_failures=1, tenant_id=uuid4())

        assert await log(uow, user.id) == {}
        assert (await uow.users.require(user.id)).status == ACTIVE


async def test_a_tenants_unit_logs_nobody_in(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It does not see the attempts at other tenants."""
    with pytest.raises(PermissionDeniedError):
        await record_login(agentdb_uow, agentdb_make.user().id, FAILURE)


@pytest.mark.agentdb_commits
async def test_sixty_four_failures_lock_once(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Five are failures, of which one locks; the others meet the lock."""
    user = agentdb_make.user(status="active")

    async def call(_: int) -> LoginOutcome:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await record_login(uow, user.id, FAILURE)

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert outcomes.errors == []
    assert Counter(outcome.status for outcome in outcomes.results) == {ACTIVE: 4, LOCKED: 60}
    assert len({o.locked_until for o in outcomes.results if o.status == LOCKED}) == 1
    async with agentdb_database.begin_system(reason="test") as uow:
        assert await log(uow, user.id) == {
            ("failure", "invalid_password"): 5,
            ("locked", "lockout_threshold"): 1,
            ("locked", "status_locked"): 59,
        }
