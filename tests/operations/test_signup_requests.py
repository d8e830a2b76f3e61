from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
)
from agentdb.operations import ApprovedRequest, approve_signup_request, reject_signup_request
from agentdb.signup.rows import NewInvite
from agentdb.signup.values import TenantSignupInviteStatus, TenantSignupRequestStatus
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now

Status = TenantSignupRequestStatus


def new_invite(digest: str = "digest", **fields: Any) -> NewInvite:
    """Return an invite to be issued."""
    return NewInvite(token_hash=digest, token_hint=digest[-4:], **fields)


async def test_an_approval_issues_the_invite_that_answers_it(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """It is for the address of the request; both tell of each other, and who decided."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    async with agentdb_database.begin_system(reason="test") as uow:
        decided, invite = await approve_signup_request(
            uow, request.id, user.id, new_invite(note="welcome"), reason="known"
        )

        assert (decided.status, decided.decided_by) == (Status.APPROVED, user.id)
        assert (decided.decision_reason, decided.invite_token_hint) == ("known", "gest")
        assert (invite.signup_request_id, invite.issuer_user_id) == (request.id, user.id)
        assert (invite.invited_email, invite.note) == (request.email, "welcome")
        assert (invite.status, invite.max_redemptions) == (TenantSignupInviteStatus.ACTIVE, 1)


async def test_an_invite_may_go_to_another_address(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Who asks need not be who signs up."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    ends = utc_now() + timedelta(days=7)
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = new_invite(invited_email="Boss@example.com", max_redemptions=2, expires_at=ends)
        _, issued = await approve_signup_request(uow, request.id, user.id, invite)

        assert (issued.invited_email, issued.max_redemptions) == ("boss@example.com", 2)
        assert issued.expires_at == ends


async def test_a_decision_stands(agentdb_database: Database, agentdb_make: Factory) -> None:
    """A rejected request is not approved, an approved one not rejected; no invite is left."""
    user = agentdb_make.user()
    requests = [agentdb_make.tenant_signup_request() for _ in range(2)]
    async with agentdb_database.begin_system(reason="test") as uow:
        rejected = await reject_signup_request(uow, requests[0].id, user.id, reason="spam")
        with pytest.raises(InvalidTransitionError):
            await approve_signup_request(uow, requests[0].id, user.id, new_invite())
        await approve_signup_request(uow, requests[1].id, user.id, new_invite("other"))
        with pytest.raises(InvalidTransitionError):
            await reject_signup_request(uow, requests[1].id, user.id)

        assert (rejected.status, rejected.decision_reason) == (Status.REJECTED, "spam")
        assert await uow.tenant_signup_invites.by_token_hash("digest") is None


async def test_an_invite_that_is_refused_undoes_the_approval(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The request is pending as before, and the unit goes on."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    taken = agentdb_make.tenant_signup_invite()
    past = utc_now() - timedelta(days=1)
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(DuplicateError):
            await approve_signup_request(uow, request.id, user.id, new_invite(taken.token_hash))
        with pytest.raises(InvalidValueError):
            await approve_signup_request(uow, request.id, user.id, new_invite(expires_at=past))
        row = await uow.tenant_signup_requests.require(request.id)

        assert (row.status, row.decided_at, row.decided_by) == (Status.PENDING, None, None)


async def test_unknown_requests_and_users_are_not_found(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Nothing is decided, and there is no invite."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    async with agentdb_database.begin_system(reason="test") as uow:
        for key, decider in ((uuid4(), user.id), (request.id, uuid4())):
            with pytest.raises(NotFoundError):
                await approve_signup_request(uow, key, decider, new_invite())
            with pytest.raises(NotFoundError):
                await reject_signup_request(uow, key, decider)

        assert await uow.tenant_signup_invites.count() == 0


async def test_a_tenants_unit_decides_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Requests are the system's."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    with pytest.raises(PermissionDeniedError):
        await approve_signup_request(agentdb_uow, request.id, user.id, new_invite())
    with pytest.raises(PermissionDeniedError):
        await reject_signup_request(agentdb_uow, request.id, user.id)


@pytest.mark.agentdb_commits
async def test_eight_approvals_issue_one_invite(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others learn that it was decided."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()

    async def call(number: int) -> ApprovedRequest:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await approve_signup_request(uow, request.id, user.id, new_invite(f"{number}"))

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert [type(error) for error in outcomes.errors] == [InvalidTransitionError] * 7
    async with agentdb_database.read(reason="test") as uow:
        assert len((await uow.tenant_signup_invites.for_signup_request(request.id)).items) == 1


@pytest.mark.agentdb_commits
async def test_an_approval_and_a_rejection_at_once_have_one_winner(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """There is an invite exactly if the request was approved."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()

    async def call(number: int) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            if number % 2:
                await approve_signup_request(uow, request.id, user.id, new_invite(f"{number}"))
            else:
                await reject_signup_request(uow, request.id, user.id)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert [type(error) for error in outcomes.errors] == [InvalidTransitionError] * 7
    async with agentdb_database.read(reason="test") as uow:
        row = await uow.tenant_signup_requests.require(request.id)
        invites = await uow.tenant_signup_invites.count()
        assert invites == int(row.status == Status.APPROVED)


def test_no_repr_shows_the_digest_of_a_token() -> None:
    """What is about to be issued goes into logs without it."""
    assert "canary" not in repr(NewInvite(token_hash="sk-canary", token_hint="abcd"))
