from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.accounts import account_of
from agentdb.auth.models import UserLoginEvent, UserSession
from agentdb.auth.revocations import Revoked, revoke_access
from agentdb.auth.values import UserStatus
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ValueTooLongError,
)
from agentdb.operations import issue_session, revoke_session, revoke_sessions_all, rotate
from agentdb.testing import Factory, Queries, run_concurrently
from agentdb.types import utc_now
from tests.auth.credentials import new_token

MINUTE = timedelta(minutes=1)
NOW = utc_now()


def active_user(make: Factory) -> UUID:
    """Return the id of a user who may log in to the tenant of the test."""
    return make.user(status=UserStatus.ACTIVE).id


async def logged_in(uow: UnitOfWork, user: UUID, jti: str) -> UserSession:
    """Return a new session of a user."""
    return (await issue_session(uow, user, ["chat"], new_token(jti))).session


async def live(uow: UnitOfWork) -> tuple[set[str], set[str]]:
    """Return the ids of the tokens in use: of live sessions, and of unrevoked tokens."""
    sessions = await uow.user_sessions.all(uow.user_sessions.model.revoked_at.is_(None))
    tokens = uow.service_account_tokens
    unrevoked = await tokens.all(tokens.model.revoked_at.is_(None))
    return {row.refresh_jti for row in sessions}, {row.refresh_jti for row in unrevoked}


async def test_a_log_in_makes_session_token_and_event(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """They name each other, and are of one instant."""
    user = active_user(agentdb_make)
    token = new_token("first", fingerprint="f" * 300)
    session, issued = await issue_session(
        agentdb_uow,
        user,
        ["b", "a"],
        token,
        reason="sso",
        now=NOW,
        ip_hash="address",
        user_agent="u" * 600,
    )
    (event,) = await agentdb_uow.user_login_events.all(UserLoginEvent.user_id == user)

    assert (session.refresh_jti, session.last_seen_at) == ("first", NOW)
    assert (issued.account, issued.scope_key) == (account_of(user), "a b")
    assert (issued.session_id, issued.tenant_id) == (session.id, session.tenant_id)
    assert (issued.refresh_token_hash, issued.issued_at) == (token.refresh_token_hash, NOW)
    assert issued.fingerprint == session.fingerprint
    assert (event.result, event.reason, event.tenant_id) == ("success", "sso", session.tenant_id)
    assert (event.ip_hash, event.created_at) == ("address", NOW)
    assert event.user_agent == session.user_agent == "u" * 512


async def test_a_log_in_to_a_known_session_replaces_its_tokens(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A session has one token in use."""
    user = active_user(agentdb_make)
    first = await logged_in(agentdb_uow, user, "first")
    again = await issue_session(
        agentdb_uow, user, ["chat"], new_token("second"), session_id=first.id
    )
    old = await agentdb_uow.service_account_tokens.by_refresh_jti("first")

    assert again.session is first
    assert old is not None
    assert old.revoked_reason == "replaced"
    assert await live(agentdb_uow) == ({"second"}, {"second"})


@pytest.mark.parametrize("status", [s for s in UserStatus if s is not UserStatus.ACTIVE])
async def test_only_an_active_user_logs_in(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, status: UserStatus
) -> None:
    """Nothing is left of the attempt."""
    user = agentdb_make.user(status=status)

    with pytest.raises(PermissionDeniedError):
        await issue_session(agentdb_uow, user.id, ["chat"], new_token("first"))
    assert await agentdb_uow.user_sessions.count() == 0
    assert await agentdb_uow.user_login_events.count() == 0


async def test_only_a_member_logs_in(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Strangers and unknown people are refused in one way, in a system unit too."""
    other = agentdb_make.tenant_account()
    stranger = agentdb_make.user(tenant=other, status=UserStatus.ACTIVE).id
    tenant = agentdb_make.tenant.id
    told: set[str] = set()
    for user in (stranger, uuid4()):
        async with agentdb_database.begin(tenant=tenant) as uow:
            with pytest.raises(PermissionDeniedError) as inside:
                await issue_session(uow, user, ["chat"], new_token("first"))
        async with agentdb_database.begin_system(reason="test") as uow:
            with pytest.raises(PermissionDeniedError) as outside:
                await issue_session(uow, user, ["chat"], new_token("first"), tenant_id=tenant)
        told |= {str(inside.value), str(outside.value)}

    assert len(told) == 1


async def test_a_refused_log_in_leaves_the_session_as_it_was(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Also the session that the unit has loaded; and the unit goes on."""
    ada, eve = active_user(agentdb_make), active_user(agentdb_make)
    session = await logged_in(agentdb_uow, ada, "first")
    await rotate(agentdb_uow, "first", new_token("second"))

    async def again(jti: str, user: UUID = ada, key: UUID = session.id, reason: str = "x") -> None:
        token = new_token(jti)
        await issue_session(agentdb_uow, user, ["chat"], token, session_id=key, reason=reason)

    with pytest.raises(DuplicateError):
        await again("first")  # no session has it any more, but a token
    with pytest.raises(ValueTooLongError):
        await again("third", reason="x" * 129)
    with pytest.raises(NotFoundError):
        await again("third", user=eve)
    with pytest.raises(InvalidValueError):
        await issue_session(agentdb_uow, ada, "chat", new_token("third"))
    assert session.refresh_jti == "second"
    assert await live(agentdb_uow) == ({"second"}, {"second"})
    await revoke_session(agentdb_uow, session.id, ada)
    with pytest.raises(InvalidTransitionError):
        await again("third")


async def test_a_log_out_ends_the_session_and_its_tokens(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Once; the first time and reason stay, other sessions go on."""
    user = active_user(agentdb_make)
    session = await logged_in(agentdb_uow, user, "first")
    await logged_in(agentdb_uow, user, "other")

    assert await revoke_session(agentdb_uow, session.id, user, now=NOW) == Revoked(1, 1)
    assert await revoke_session(agentdb_uow, session.id, user, "again") == Revoked(0, 0)
    assert (session.revoked_at, session.revoked_reason) == (NOW, "user_logout")
    token = await agentdb_uow.service_account_tokens.by_refresh_jti("first")
    assert token is not None
    assert (token.revoked_at, token.revoked_reason) == (NOW, "user_logout")
    assert await live(agentdb_uow) == ({"other"}, {"other"})


async def test_nobody_logs_somebody_else_out(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """An unknown session and that of another user are one: nothing happens."""
    ada, eve = active_user(agentdb_make), active_user(agentdb_make)
    session = await logged_in(agentdb_uow, ada, "first")

    assert await revoke_session(agentdb_uow, session.id, eve) == Revoked(0, 0)
    assert await revoke_session(agentdb_uow, uuid4(), eve) == Revoked(0, 0)
    assert await live(agentdb_uow) == ({"first"}, {"first"})


async def test_a_user_is_logged_out_everywhere_but_here(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With tokens that belong to no session; those of others stay."""
    ada, eve = active_user(agentdb_make), active_user(agentdb_make)
    here = await logged_in(agentdb_uow, ada, "here")
    for user, jti in ((ada, "there"), (ada, "elsewhere"), (eve, "eve")):
        await logged_in(agentdb_uow, user, jti)
    loose = new_token("loose")
    await agentdb_uow.service_account_tokens.issue(account_of(ada), ["chat"], loose)

    assert await revoke_sessions_all(agentdb_uow, ada, except_session_id=here.id) == Revoked(2, 3)
    assert await live(agentdb_uow) == ({"here", "eve"}, {"here", "eve"})
    assert await revoke_sessions_all(agentdb_uow, ada) == Revoked(1, 1)
    assert await revoke_sessions_all(agentdb_uow, ada) == Revoked(0, 0)
    assert await revoke_sessions_all(agentdb_uow, uuid4()) == Revoked(0, 0)
    assert await live(agentdb_uow) == ({"eve"}, {"eve"})


async def test_a_tenant_logs_out_of_itself_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A system unit logs out of all tenants, or of the one that it names."""
    own, other = agentdb_make.tenant, agentdb_make.tenant_account()
    user = active_user(agentdb_make)
    agentdb_make.tenant_user_membership(user=user, tenant=other)
    for tenant in (own.id, other.id):
        async with agentdb_database.begin(tenant=tenant) as uow:
            await logged_in(uow, user, f"first {tenant}")
        async with agentdb_database.begin_system(reason="test") as uow:
            second = new_token(f"second {tenant}")
            made = await issue_session(uow, user, ["chat"], second, tenant_id=tenant)
            assert {made.session.tenant_id, made.token.tenant_id} == {tenant}

    async with agentdb_database.begin(tenant=own.id) as uow:
        assert await revoke_sessions_all(uow, user) == Revoked(2, 2)
    async with agentdb_database.begin_system(reason="test") as uow:
        assert await revoke_sessions_all(uow, user, tenant_id=own.id) == Revoked(0, 0)
        assert await revoke_access(uow, user, "test", NOW) == Revoked(2, 2)


async def test_what_was_revoked_keeps_its_reason(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """And the reason is checked before anything is written."""
    user = active_user(agentdb_make)
    first = await logged_in(agentdb_uow, user, "first")
    second = await logged_in(agentdb_uow, user, "second")
    await revoke_session(agentdb_uow, first.id, user)
    with pytest.raises(ValueTooLongError):
        await revoke_sessions_all(agentdb_uow, user, "x" * 257)
    await revoke_sessions_all(agentdb_uow, user, "password_change")

    assert (first.revoked_reason, second.revoked_reason) == ("user_logout", "password_change")


@pytest.mark.agentdb_commits
async def test_no_session_slips_past_a_log_out_of_all(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Of log-ins, rotations and a log-out of all at once: none that came before it is left live."""
    tenant, user = agentdb_make.tenant.id, active_user(agentdb_make)
    async with agentdb_database.begin(tenant=tenant) as uow:
        for number in range(4):
            await logged_in(uow, user, f"old-{number}")
        await uow.service_account_tokens.issue(account_of(user), ["chat"], new_token("loose"))

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            if number == 0:
                await revoke_sessions_all(uow, user)
            elif number == 1:
                await rotate(uow, "loose", new_token("looser"))
            elif number <= 5:
                await rotate(uow, f"old-{number - 2}", new_token(f"new-{number - 2}"))
            else:
                await logged_in(uow, user, f"late-{number}")

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        sessions, tokens = await live(uow)
        assert {jti for jti in sessions | tokens if not jti.startswith("late-")} == set()
        assert sessions == tokens


async def test_the_statements_of_logging_in_and_out(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Their number does not grow with the sessions of the user."""
    user = active_user(agentdb_make)
    for number in range(5):
        await logged_in(agentdb_uow, user, f"{number}")

    with agentdb_queries(max=8):
        session = await logged_in(agentdb_uow, user, "last")
    agentdb_uow.session.expunge_all()
    with agentdb_queries(max=5):
        await revoke_session(agentdb_uow, session.id, user)
    with agentdb_queries(max=6):
        await revoke_sessions_all(agentdb_uow, user)
