"""Sixty-four callers who all want what there is less of: exact outcomes, on both databases."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.operations import SignedUp, sign_up
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.testing import Factory, run_concurrently

CALLERS = 64
Status = SignupInviteReservationStatus


async def reserve_and_sign_up(database: Database, invite: UUID, number: int) -> SignedUp:
    """Sign up as a host does: the place in one unit, the tenant in the next."""
    email = f"{number}@example.com"
    async with database.begin_system(reason="test") as uow:
        held = await uow.tenant_signup_invite_reservations.reserve(invite, email)
    async with database.begin_system(reason="test") as uow:
        return await sign_up(
            uow,
            email=email,
            password_hash="digest",
            tenant_name=f"Labs {number}",
            reservation_id=held.id,
        )


async def read_states(uow: UnitOfWork) -> Counter[str]:
    """Count the reservations by their state."""
    return Counter(row.status for row in await uow.tenant_signup_invite_reservations.all())


@pytest.mark.agentdb_commits
async def test_five_of_sixty_four_sign_up_with_an_invite_for_five(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Exactly five tenants are made; the invite is exhausted and no reservation is left over."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=5)
    async with agentdb_database.read(reason="test") as uow:
        before = await uow.tenant_accounts.count()

    async def call(number: int) -> SignedUp:
        return await reserve_and_sign_up(agentdb_database, invite.id, number)

    outcomes = await run_concurrently(CALLERS, call, database=agentdb_database)

    assert len(outcomes.results) == 5
    reasons = Counter(getattr(error, "reason", repr(error)) for error in outcomes.errors)
    assert reasons.total() == CALLERS - 5
    assert reasons.keys() <= {"full", "exhausted"}
    async with agentdb_database.read(reason="test") as uow:
        row = await uow.tenant_signup_invites.require(invite.id)
        assert (row.redeemed_count, row.status) == (5, TenantSignupInviteStatus.EXHAUSTED)
        assert await read_states(uow) == {Status.FINALIZED: 5}
        assert await uow.tenant_accounts.count() == before + 5


@pytest.mark.agentdb_commits
async def test_a_revocation_among_sign_ups_leaves_no_place_held(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each sign-up comes before it or fails; the count of the invite is that of the tenants."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=CALLERS)

    async def call(number: int) -> SignedUp | None:
        if number == CALLERS // 2:
            async with agentdb_database.begin_system(reason="test") as uow:
                await uow.tenant_signup_invites.revoke(invite.id, "lost")
            return None
        return await reserve_and_sign_up(agentdb_database, invite.id, number)

    outcomes = await run_concurrently(CALLERS, call, database=agentdb_database)

    made = [result for result in outcomes.results if result is not None]
    assert len(made) + 1 + len(outcomes.errors) == CALLERS
    refusals = {getattr(error, "reason", type(error).__name__) for error in outcomes.errors}
    assert refusals <= {"revoked", "ReservationExpiredError"}
    async with agentdb_database.read(reason="test") as uow:
        row = await uow.tenant_signup_invites.require(invite.id)
        states = await read_states(uow)

        assert (row.redeemed_count, row.status) == (len(made), TenantSignupInviteStatus.REVOKED)
        assert (states[Status.FINALIZED], states[Status.ACTIVE]) == (len(made), 0)
