from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import UserStatus
from agentdb.errors import (
    DuplicateError,
    InvalidValueError,
    LastOwnerError,
    NotFoundError,
    PermissionDeniedError,
)
from agentdb.models import User
from agentdb.operations import change_email, disable_user
from agentdb.testing import Factory, run_concurrently

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_a_new_address_is_not_verified_and_ends_the_sessions(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """With those tokens that no session has, and a security event."""
    session = agentdb_make.user_session()
    token = agentdb_make.service_account_token(account=f"user:{session.user_id}")
    async with agentdb_database.begin_system(reason="test") as uow:
        user = await change_email(uow, session.user_id, " New@Example.com ", now=NOW, ip_hash="abc")
        ended = await uow.user_sessions.require(session.id)
        spent = await uow.service_account_tokens.require(token.id)
        (event,) = await uow.security_events.for_user(user.id)

    assert (user.email, user.email_verified_at) == ("new@example.com", None)
    assert (ended.revoked_at, ended.revoked_reason) == (NOW, "email_change")
    assert (spent.revoked_at, spent.revoked_reason) == (NOW, "email_change")
    assert (event.event_type, event.created_at, event.ip_hash) == ("email_change", NOW, "abc")


async def test_the_same_address_changes_nothing(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """In whatever case it is written."""
    session = agentdb_make.user_session()
    async with agentdb_database.begin_system(reason="test") as uow:
        before = await uow.users.require(session.user_id)
        stamp = (before.email, before.email_verified_at, before.updated_at)
        after = await change_email(uow, session.user_id, before.email.upper())

        assert stamp == (after.email, after.email_verified_at, after.updated_at)
        assert (await uow.user_sessions.require(session.id)).revoked_at is None
        assert await uow.security_events.count() == 0


@pytest.mark.parametrize(
    ("email", "options", "error"),
    [
        ("taken@example.com", {}, DuplicateError),
        ("nobody", {}, InvalidValueError),
        ("new@example.com", {"request_id": "x" * 129}, InvalidValueError),
    ],
)
async def test_a_refused_address_leaves_all_as_it_was(
    agentdb_database: Database,
    agentdb_make: Factory,
    email: str,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    """The loaded rows, too; the unit goes on."""
    agentdb_make.user(email="taken@example.com")
    session = agentdb_make.user_session()
    async with agentdb_database.begin_system(reason="test") as uow:
        user = await uow.users.require(session.user_id)
        loaded = await uow.user_sessions.require(session.id)
        before = user.email
        with pytest.raises(error):
            await change_email(uow, user.id, email, **options)

        assert (user.email, loaded.revoked_at) == (before, None)
        assert await uow.security_events.count() == 0


async def test_a_disabled_user_has_no_access(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The reason is kept with the event; the first one stays."""
    session = agentdb_make.user_session()
    async with agentdb_database.begin_system(reason="test") as uow:
        user = await disable_user(
            uow, session.user_id, "left the firm", now=NOW, metadata_json={"ticket": 7}
        )
        ended = await uow.user_sessions.require(session.id)
        again = await disable_user(uow, session.user_id, "once more")
        (event,) = await uow.security_events.for_user(user.id)

    assert user is again
    assert user.status == UserStatus.DISABLED
    assert (ended.revoked_at, ended.revoked_reason) == (NOW, "account_disabled")
    assert event.event_type == "account_disabled"
    assert event.metadata_json == {"ticket": 7, "reason": "left the firm"}


async def test_sessions_of_a_disabled_user_are_revoked_again(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """One whose status was set by hand may still have some."""
    session = agentdb_make.user_session()
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.users.set_status(session.user_id, UserStatus.DISABLED)
        await disable_user(uow, session.user_id, "by hand")
        ended = await uow.user_sessions.require(session.id)

    assert ended.revoked_reason == "account_disabled"


async def test_a_sole_owner_is_not_disabled(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Nothing happens to them until another owner, who is not disabled, is there."""
    owner = agentdb_make.tenant_user_membership(role="owner")
    session = agentdb_make.user_session(user=owner.user_id)
    other = agentdb_make.tenant_user_membership(role="owner")
    async with agentdb_database.begin_system(reason="test") as uow:
        await disable_user(uow, other.user_id, "first")
        with pytest.raises(LastOwnerError):
            await disable_user(uow, owner.user_id, "second")

        assert (await uow.users.require(owner.user_id)).status != UserStatus.DISABLED
        assert (await uow.user_sessions.require(session.id)).revoked_at is None
        assert len(await uow.security_events.for_user(owner.user_id)) == 0
        await uow.users.set_status(other.user_id, UserStatus.LOCKED)
        assert (await disable_user(uow, owner.user_id, "now")).status == UserStatus.DISABLED


async def test_a_reason_that_cannot_be_stored_disables_nobody(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The loaded session is as it was, and the unit goes on."""
    session = agentdb_make.user_session()
    async with agentdb_database.begin_system(reason="test") as uow:
        loaded = await uow.user_sessions.require(session.id)
        with pytest.raises(InvalidValueError):
            await disable_user(uow, session.user_id, "\0")

        assert loaded.revoked_at is None
        assert (await uow.users.require(session.user_id)).status != UserStatus.DISABLED


async def test_nobody_is_not_found(agentdb_database: Database) -> None:
    """Neither for a new address nor to be disabled."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(NotFoundError):
            await change_email(uow, uuid4(), "a@example.com")
        with pytest.raises(NotFoundError):
            await disable_user(uow, uuid4(), "gone")


async def test_a_tenants_unit_changes_nobody(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It could not end the sessions at other tenants."""
    user = agentdb_make.user()
    with pytest.raises(PermissionDeniedError):
        await change_email(agentdb_uow, user.id, "a@example.com")
    with pytest.raises(PermissionDeniedError):
        await disable_user(agentdb_uow, user.id, "gone")


@pytest.mark.agentdb_commits
async def test_one_of_sixty_four_gets_the_address(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others raise, and keep their own."""
    users = agentdb_make.user.many(64)

    async def call(number: int) -> User:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await change_email(uow, users[number].id, "wanted@example.com")

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {DuplicateError}
    async with agentdb_database.begin_system(reason="test") as uow:
        assert await uow.security_events.count() == 1
