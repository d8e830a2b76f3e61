"""From a request for access to the deletion of the user, each step in a unit of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.people import PasswordEntry
from agentdb.auth.values import PepperVersion, TenantRole, UserStatus
from agentdb.errors import LastOwnerError, PasswordReusedError
from agentdb.operations import (
    approve_signup_request,
    change_password,
    delete_user,
    issue_session,
    rotate,
    sign_up,
)
from agentdb.signup.rows import NewInvite
from agentdb.testing import Factory
from tests.auth.credentials import new_token

T = TypeVar("T")


def uses(password_hash: str) -> Callable[[Sequence[PasswordEntry]], bool]:
    """Return the check whether a password is among those that a user has or had."""
    return lambda entries: password_hash in {entry.password_hash for entry in entries}


@pytest.mark.agentdb_commits
async def test_somebody_asks_signs_up_stays_and_leaves(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Request, approval, invite, reservation, sign-up, session, rotation, password, deletion."""
    operator = agentdb_make.user()

    async def step(work: Callable[[UnitOfWork], Awaitable[T]], tenant: UUID | None = None) -> T:
        reason = "story" if tenant is None else None
        return await agentdb_database.run(work, tenant=tenant, reason=reason)

    request = await step(
        lambda uow: uow.tenant_signup_requests.submit(
            "Ada@example.com", full_name="Ada Lovelace", ip_address="192.0.2.1"
        )
    )
    invite = NewInvite(token_hash="digest", token_hint="gest")
    approved = await step(lambda uow: approve_signup_request(uow, request.id, operator.id, invite))
    found = await step(lambda uow: uow.tenant_signup_invites.by_token_hash("digest"))
    assert found is not None
    assert found.id == approved.invite.id
    place = await step(
        lambda uow: uow.tenant_signup_invite_reservations.reserve(found.id, "ada@example.com")
    )

    made = await step(
        lambda uow: sign_up(
            uow,
            email="ada@example.com",
            password_hash="first",
            tenant_name="Ada's Labs",
            display_name=request.full_name,
            reservation_id=place.id,
            activate=True,
        )
    )
    tenant, user = made.tenant.id, made.user.id
    redeemed = await step(lambda uow: uow.tenant_signup_invites.require(found.id))
    assert (redeemed.status, redeemed.redeemed_count) == ("exhausted", 1)
    assert (made.membership.role, made.user.status) == (TenantRole.OWNER, UserStatus.ACTIVE)

    issued = await step(lambda uow: issue_session(uow, user, ["chat"], new_token("one")), tenant)
    rotated = await step(lambda uow: rotate(uow, "one", new_token("two")), tenant)
    assert rotated.outcome == "rotated"

    async def change_to(password: str, keep: UUID | None = None) -> None:
        await step(
            lambda uow: change_password(
                uow, user, password, PepperVersion.V2, uses(password), keep_session_id=keep
            )
        )

    with pytest.raises(PasswordReusedError):
        await change_to("first")
    await change_to("second", issued.session.id)
    kept = await step(lambda uow: uow.user_sessions.for_user(user), tenant)
    assert [(row.id, row.refresh_jti) for row in kept.items] == [(issued.session.id, "two")]
    await change_to("third")
    assert not (await step(lambda uow: uow.user_sessions.for_user(user), tenant)).items
    assert (await step(lambda uow: rotate(uow, "two", new_token("3")), tenant)).outcome == "revoked"

    with pytest.raises(LastOwnerError):
        await step(lambda uow: delete_user(uow, user))
    await step(lambda uow: delete_user(uow, user, force=True))
    assert await step(lambda uow: uow.users.get(user)) is None
    assert await step(lambda uow: uow.users.by_email("ada@example.com")) is None
    row = await step(lambda uow: uow.tenant_signup_invite_reservations.require(place.id))
    assert (row.status, row.tenant_id, row.user_id) == ("finalized", tenant, None)
    assert not (await step(lambda uow: uow.tenant_user_memberships.members(), tenant)).items
