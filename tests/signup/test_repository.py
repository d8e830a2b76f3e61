from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.models import User
from agentdb.auth.values import UserStatus
from agentdb.errors import ConflictError, NotFoundError, ReservationExpiredError
from agentdb.models import TenantAccount
from agentdb.signup.models import TenantSignupInvite, TenantSignupInviteReservation
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.testing import run_concurrently


async def invited(
    uow: UnitOfWork, *, places: int = 1, lasts: timedelta = timedelta(minutes=15)
) -> tuple[TenantSignupInvite, TenantSignupInviteReservation]:
    """Return an invite and a reservation of it."""
    invite = await uow.tenant_signup_invites.add(
        TenantSignupInvite(token_hash=uuid4().hex, token_hint="abcd", max_redemptions=places)
    )
    reservation = await uow.tenant_signup_invite_reservations.add(
        TenantSignupInviteReservation(
            invite_id=invite.id, email="a@example.com", expires_at=datetime.now(UTC) + lasts
        )
    )
    return invite, reservation


async def someone(uow: UnitOfWork) -> User:
    """Return a new user."""
    return await uow.users.add(
        User(email=f"{uuid4().hex}@example.com", password_hash="h", status=UserStatus.ACTIVE)
    )


async def test_a_reservation_is_redeemed_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Finalising counts one redemption and exhausts the last; the same again changes nothing."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite, reservation = await invited(uow)
        user = await someone(uow)
        verb = uow.tenant_signup_invite_reservations.finalize
        await verb(reservation.id, tenant_id=agentdb_tenant.id, user_id=user.id)
        row = await verb(reservation.id, tenant_id=agentdb_tenant.id, user_id=user.id)
        fresh = await uow.tenant_signup_invites.require(invite.id)

        assert row.status == SignupInviteReservationStatus.FINALIZED
        assert (fresh.redeemed_count, fresh.status) == (1, TenantSignupInviteStatus.EXHAUSTED)
        other = await someone(uow)
        with pytest.raises(ConflictError):
            await verb(reservation.id, tenant_id=agentdb_tenant.id, user_id=other.id)


async def test_an_invite_with_places_left_stays_active(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """An invite is exhausted exactly when its last place is redeemed."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite, reservation = await invited(uow, places=2)
        await uow.tenant_signup_invite_reservations.finalize(
            reservation.id, tenant_id=agentdb_tenant.id, user_id=(await someone(uow)).id
        )
        fresh = await uow.tenant_signup_invites.require(invite.id)

        assert (fresh.redeemed_count, fresh.status) == (1, TenantSignupInviteStatus.ACTIVE)


async def test_an_overdue_or_released_reservation_finalises_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A reservation past its time, or released, raises and counts nothing."""
    async with agentdb_database.begin_system(reason="test") as uow:
        user = await someone(uow)
        verb = uow.tenant_signup_invite_reservations.finalize
        overdue_invite, overdue = await invited(uow, lasts=timedelta(seconds=-1))
        _, released = await invited(uow)
        await uow.tenant_signup_invite_reservations.update(
            released.id, status=SignupInviteReservationStatus.RELEASED
        )
        for reservation in (overdue, released):
            with pytest.raises(ReservationExpiredError):
                await verb(reservation.id, tenant_id=agentdb_tenant.id, user_id=user.id)
        with pytest.raises(NotFoundError):
            await verb(uuid4(), tenant_id=agentdb_tenant.id, user_id=user.id)

        fresh = await uow.tenant_signup_invites.require(overdue_invite.id)
        assert (fresh.redeemed_count, fresh.last_redeemed_at) == (0, None)


@pytest.mark.agentdb_commits
async def test_eight_callers_redeem_a_reservation_once(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Concurrent calls for one reservation all succeed and count one redemption."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite, reservation = await invited(uow, places=8)
        user = await someone(uow)

    async def call(_: int) -> bool:
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.tenant_signup_invite_reservations.finalize(
                reservation.id, tenant_id=agentdb_tenant.id, user_id=user.id
            )
            return True

    assert await run_concurrently(8, call, database=agentdb_database) == [True] * 8
    async with agentdb_database.begin_system(reason="test") as uow:
        fresh = await uow.tenant_signup_invites.require(invite.id)
        assert fresh.redeemed_count == 1
