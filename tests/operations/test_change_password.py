from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.people import PasswordEntry
from agentdb.auth.values import UserStatus
from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    PasswordReusedError,
    PermissionDeniedError,
)
from agentdb.models import User
from agentdb.operations import ReuseCheck, change_password
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently


def never(_: Sequence[PasswordEntry]) -> bool:
    """Hold every password new."""
    return False


class Check:
    """Compares hashes as they are, and remembers what it was shown."""

    def __init__(self, new: str) -> None:
        self.new = new
        self.shown: list[list[str]] = []

    def __call__(self, entries: Sequence[PasswordEntry]) -> bool:
        """Tell whether the new one is among them."""
        self.shown.append([entry.password_hash for entry in entries])
        return self.new in self.shown[-1]


async def change(uow: UnitOfWork, user_id: UUID, new: str, **options: Any) -> User:
    """Change the password to *new*, unless it is one of the last."""
    return await change_password(uow, user_id, new, "v2", Check(new), **options)


async def test_a_new_password_ends_what_the_old_one_opened(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Hash, history, sessions and tokens of all tenants, a security event; the asking one stays."""
    user = agentdb_make.user(status="locked")
    elsewhere = agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(user=user, tenant=elsewhere)
    kept = agentdb_make.user_session(user=user)
    other = agentdb_make.user_session(user=user, tenant=elsewhere)
    strange = agentdb_make.user_session()
    account = f"user:{user.id}"
    tokens = [
        agentdb_make.service_account_token(account=account, session=kept),
        agentdb_make.service_account_token(account=account, session=other, tenant=elsewhere),
        agentdb_make.service_account_token(account=account, scopes=["read"]),
    ]
    async with agentdb_database.begin_system(reason="test") as uow:
        loaded = await uow.users.require(user.id)
        changed = await change(uow, user.id, "new", keep_session_id=kept.id, request_id="r1")
        sessions = await uow.user_sessions.get_many([kept.id, other.id, strange.id])
        ended = await uow.service_account_tokens.get_many([token.id for token in tokens])
        (event,) = await uow.security_events.for_user(user.id)
        (entry,) = await uow.password_history.recent(user.id)

        assert loaded is changed
        assert (changed.password_hash, changed.status) == ("new", UserStatus.ACTIVE)
        assert entry.password_hash == "new"
        assert [sessions[s.id].revoked_reason for s in (kept, other, strange)] == [
            None,
            "password_change",
            None,
        ]
        assert [ended[token.id].revoked_reason for token in tokens] == [
            None,
            "password_change",
            "password_change",
        ]
        assert (event.event_type, event.request_id) == ("password_change", "r1")


@pytest.mark.parametrize("status", ["disabled", "pending", "active"])
async def test_a_new_password_opens_no_closed_account(
    agentdb_database: Database, agentdb_make: Factory, status: str
) -> None:
    """Only a locked user becomes active."""
    user = agentdb_make.user(status=status)
    async with agentdb_database.begin_system(reason="test") as uow:
        assert (await change(uow, user.id, "new")).status == status


async def test_the_last_passwords_are_refused(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The current one and as many as are kept; then the oldest may come back."""
    user = agentdb_make.user(password_hash="p0")
    async with agentdb_database.begin_system(reason="test") as uow:
        for number in range(1, 5):
            await change(uow, user.id, f"p{number}", history=3)
        for old in ("p2", "p3", "p4"):
            with pytest.raises(PasswordReusedError):
                await change(uow, user.id, old, history=3)
        kept = [row.password_hash for row in await uow.password_history.recent(user.id, limit=9)]
        assert kept == ["p4", "p3", "p2"]
        assert (await change(uow, user.id, "p1", history=3)).password_hash == "p1"
        await change(uow, user.id, "p5", history=0)

        assert await uow.password_history.recent(user.id) == []
        with pytest.raises(PasswordReusedError):
            await change(uow, user.id, "p5", history=0)


async def test_the_check_sees_each_password_once_and_may_be_slow(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A plain function runs in a thread of its own, an async one in the loop; once each."""
    user = agentdb_make.user(password_hash="p0")
    seen: list[tuple[list[str], bool]] = []

    def plain(entries: Sequence[PasswordEntry]) -> bool:
        main = threading.current_thread() is threading.main_thread()
        seen.append(([e.password_hash for e in entries], main))
        return False

    async def awaited(entries: Sequence[PasswordEntry]) -> bool:
        return plain(entries)

    class Callable:
        async def __call__(self, entries: Sequence[PasswordEntry]) -> bool:
            return plain(entries)

    async with agentdb_database.begin_system(reason="test") as uow:
        checks: list[ReuseCheck] = [plain, awaited, Callable(), partial(awaited)]
        for number, check in enumerate(checks, 1):
            await change_password(uow, user.id, f"p{number}", "v2", check)

    assert seen == [
        (["p0"], False),
        (["p1"], True),
        (["p2", "p1"], True),
        (["p3", "p2", "p1"], True),
    ]


async def test_no_entry_shows_its_hash() -> None:
    """Neither in a log nor in a message."""
    assert "canary" not in repr(PasswordEntry("sk-canary", "v2"))


REFUSED: dict[str, dict[str, Any]] = {
    "pepper": {"pepper_version": "v" * 33},
    "history": {"history": -1},
    "event": {"event_type": "x" * 33},
    "detail": {"request_id": "x" * 129},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_change_leaves_nothing(
    agentdb_database: Database, agentdb_make: Factory, name: str
) -> None:
    """The password, the sessions and the loaded rows are as they were; the unit goes on."""
    session = agentdb_make.user_session()
    options: dict[str, Any] = {"pepper_version": "v2", **REFUSED[name]}
    async with agentdb_database.begin_system(reason="test") as uow:
        user = await uow.users.require(session.user_id)
        loaded = await uow.user_sessions.require(session.id)
        before = user.password_hash
        with pytest.raises(InvalidValueError):
            await change_password(
                uow, user.id, "new", options.pop("pepper_version"), never, **options
            )
        with pytest.raises(NotFoundError):
            await change(uow, uuid4(), "new")

        assert (user.password_hash, loaded.revoked_at) == (before, None)
        assert await uow.password_history.count() == await uow.security_events.count() == 0


async def test_a_tenants_unit_changes_no_password(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It could not end the sessions at other tenants."""
    with pytest.raises(PermissionDeniedError):
        await change(agentdb_uow, agentdb_make.user().id, "new")


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_the_check_runs_again_if_the_history_changed_meanwhile(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """One that has looked before the other committed looks again, and refuses the same password.

    On SQLite the second would not have looked before the first committed.
    """
    user = agentdb_make.user(password_hash="old")
    slow = Check("new")

    async def first(pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:

            async def check(entries: Sequence[PasswordEntry]) -> bool:
                found = slow(entries)
                await pause()
                return found

            await change_password(uow, user.id, "new", "v2", check)

    async def second(_: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await change(uow, user.id, "new")

    async with StepRunner(agentdb_database, first=first, second=second) as runner:
        assert await runner.run(["first", "second"]) == ["paused", "done"]
        ended = await runner.finish()

    assert isinstance(ended["first"], PasswordReusedError)
    assert slow.shown == [["old"], ["new"]]


@pytest.mark.agentdb_commits
async def test_one_of_eight_sets_the_same_password(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others learn that it is the current one."""
    user = agentdb_make.user(password_hash="old")

    async def call(_: int) -> User:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await change(uow, user.id, "new")

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {PasswordReusedError}
    async with agentdb_database.begin_system(reason="test") as uow:
        assert await uow.password_history.count() == 1
        assert await uow.security_events.count() == 1
