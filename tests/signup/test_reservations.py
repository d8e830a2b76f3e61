from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidValueError,
    InviteUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    ReservationExpiredError,
)
from agentdb.signup.models import TenantSignupInviteReservation
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.testing import Factory, FrozenClock, run_concurrently

MINUTE = timedelta(minutes=1)
Status = SignupInviteReservationStatus


async def test_a_place_is_held_for_a_quarter_of_an_hour(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """For the address in its canonical form, unless another time is asked for."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2)
    async with agentdb_database.begin_system(reason="test") as uow:
        reserve = uow.tenant_signup_invite_reservations.reserve
        row = await reserve(invite.id, " Ada@Example.com ")
        longer = await reserve(invite.id, "bob@example.com", ttl=60 * MINUTE)

        assert (row.email, row.status) == ("ada@example.com", Status.ACTIVE)
        assert (row.tenant_id, row.user_id) == (None, None)
        assert (row.reserved_at, row.expires_at) == (
            agentdb_freeze_now(),
            agentdb_freeze_now() + 15 * MINUTE,
        )
        assert longer.expires_at == agentdb_freeze_now() + 60 * MINUTE


async def test_a_place_is_held_no_longer_than_the_invite_lasts(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """The reservation ends with it."""
    invite = agentdb_make.tenant_signup_invite(expires_at=agentdb_freeze_now() + 5 * MINUTE)
    async with agentdb_database.begin_system(reason="test") as uow:
        row = await uow.tenant_signup_invite_reservations.reserve(invite.id, "ada@example.com")

        assert row.expires_at == invite.expires_at


@pytest.mark.parametrize("ttl", [MINUTE - timedelta(microseconds=1), -MINUTE, timedelta.max])
async def test_a_place_is_held_for_a_time(
    agentdb_database: Database, agentdb_make: Factory, ttl: timedelta
) -> None:
    """A minute or more, and no longer than the calendar lasts."""
    invite = agentdb_make.tenant_signup_invite()
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await uow.tenant_signup_invite_reservations.reserve(invite.id, "a@b.c", ttl=ttl)

        assert await uow.tenant_signup_invite_reservations.count() == 0


async def test_the_same_address_holds_one_place(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """Its live reservation is extended, never shortened, also where no place is left."""
    invite = agentdb_make.tenant_signup_invite()
    async with agentdb_database.begin_system(reason="test") as uow:
        reserve = uow.tenant_signup_invite_reservations.reserve
        first = await reserve(invite.id, "ada@example.com")
        agentdb_freeze_now.advance(MINUTE)
        again = await reserve(invite.id, "ADA@example.com", ttl=20 * MINUTE)
        extended = again.expires_at
        shorter = await reserve(invite.id, "ada@example.com", ttl=MINUTE)

        assert first.id == again.id == shorter.id
        assert extended == shorter.expires_at == agentdb_freeze_now() + 20 * MINUTE
        assert await uow.tenant_signup_invite_reservations.count() == 1


async def test_an_invite_is_full_while_others_hold_its_places(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A released place is free at once."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2)
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        held = [await verbs.reserve(invite.id, f"{n}@example.com") for n in range(2)]
        with pytest.raises(InviteUnavailableError) as refused:
            await verbs.reserve(invite.id, "late@example.com")
        released = await verbs.release(held[0].id, "signup_failed")
        taken = await verbs.reserve(invite.id, "late@example.com")

        assert refused.value.reason == "full"
        assert (released.status, released.released_reason) == (Status.RELEASED, "signup_failed")
        assert taken.id not in {row.id for row in held}


async def test_a_stale_reservation_holds_no_place(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """The first call after it succeeds, and its place is given away for good."""
    invite, user = agentdb_make.tenant_signup_invite(), agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        stale = await verbs.reserve(invite.id, "old@example.com")
        moment = agentdb_freeze_now()
        agentdb_freeze_now.advance(15 * MINUTE)
        fresh = await verbs.reserve(invite.id, "new@example.com")

        assert fresh.status == Status.ACTIVE
        assert (stale.status, stale.released_reason) == (Status.EXPIRED, "reservation_expired")
        # Should the clock go back, it does not come to life again.
        with pytest.raises(ReservationExpiredError):
            await verbs.finalize(
                stale.id, tenant_id=agentdb_make.tenant.id, user_id=user.id, now=moment
            )


async def test_an_overdue_reservation_of_the_address_is_not_revived(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """A new one takes its place."""
    invite = agentdb_make.tenant_signup_invite()
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        stale = await verbs.reserve(invite.id, "ada@example.com")
        agentdb_freeze_now.advance(15 * MINUTE)
        fresh = await verbs.reserve(invite.id, "ada@example.com")

        assert (fresh.id != stale.id, stale.status, fresh.status) == (
            True,
            Status.EXPIRED,
            Status.ACTIVE,
        )


async def test_an_invite_for_an_address_is_for_it_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Others neither reserve it nor redeem what was reserved for it."""
    invite = agentdb_make.tenant_signup_invite(invited_email="ada@example.com")
    other, ada = agentdb_make.user(), agentdb_make.user(email="ada@example.com")
    tenant = agentdb_make.tenant
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        with pytest.raises(InviteUnavailableError) as refused:
            await verbs.reserve(invite.id, "eve@example.com")
        held = await verbs.reserve(invite.id, "Ada@example.com")
        with pytest.raises(InviteUnavailableError) as stolen:
            await verbs.finalize(held.id, tenant_id=tenant.id, user_id=other.id)
        assert (await uow.tenant_signup_invites.require(invite.id)).redeemed_count == 0
        row = await verbs.finalize(held.id, tenant_id=tenant.id, user_id=ada.id)

        assert refused.value.reason == stolen.value.reason == "wrong_email"
        assert row.status == Status.FINALIZED


async def test_a_failed_redemption_counts_nothing(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """An unknown tenant undoes the count with it, and the reservation is live still."""
    invite, user = agentdb_make.tenant_signup_invite(), agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        held = await verbs.reserve(invite.id, "ada@example.com")
        with pytest.raises(NotFoundError):
            await verbs.finalize(held.id, tenant_id=uuid4(), user_id=user.id)
        found = await uow.tenant_signup_invites.require(invite.id)

        assert (found.redeemed_count, found.status) == (0, TenantSignupInviteStatus.ACTIVE)
        assert (await verbs.require(held.id)).status == Status.ACTIVE


async def test_only_an_active_reservation_is_released(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Others are returned as they are; the first reason stays."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2)
    redeemed = agentdb_make.tenant_signup_invite_reservation(invite=invite, status="finalized")
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        held = await verbs.reserve(invite.id, "ada@example.com")
        await verbs.release(held.id, "first")
        again = await verbs.release(held.id, "second")
        done = await verbs.release(redeemed.id, "late")
        with pytest.raises(NotFoundError):
            await verbs.release(uuid4(), "none")

        assert (again.status, again.released_reason) == (Status.RELEASED, "first")
        assert (done.status, done.released_at) == (Status.FINALIZED, None)


async def test_redeemed_places_are_not_free(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """They and the live reservations together fill an invite."""
    invite, user = agentdb_make.tenant_signup_invite(max_redemptions=2), agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        first = await verbs.reserve(invite.id, "a@example.com")
        await verbs.finalize(first.id, tenant_id=agentdb_make.tenant.id, user_id=user.id)
        await verbs.reserve(invite.id, "b@example.com")
        with pytest.raises(InviteUnavailableError) as refused:
            await verbs.reserve(invite.id, "c@example.com")

        assert refused.value.reason == "full"


async def test_time_runs_out_at_the_instant_that_is_named(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """At it neither a reservation nor an invite is good any more."""
    ends = agentdb_freeze_now() + 15 * MINUTE
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2, expires_at=ends)
    user = agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_invite_reservations
        held = await verbs.reserve(invite.id, "ada@example.com")
        agentdb_freeze_now.move_to(ends)
        with pytest.raises(ReservationExpiredError):
            await verbs.finalize(held.id, tenant_id=agentdb_make.tenant.id, user_id=user.id)
        with pytest.raises(InviteUnavailableError) as refused:
            await verbs.reserve(invite.id, "bob@example.com")

        assert refused.value.reason == "expired"


@pytest.mark.agentdb_commits
async def test_eight_callers_hold_three_places(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """As many succeed as there are places; for the others it is full."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=3)

    async def call(number: int) -> TenantSignupInviteReservation:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.tenant_signup_invite_reservations.reserve(
                invite.id, f"{number}@example.com"
            )

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len({row.id for row in outcomes.results}) == 3
    assert {getattr(error, "reason", error) for error in outcomes.errors} == {"full"}


@pytest.mark.agentdb_commits
async def test_sixty_four_callers_with_one_address_hold_one_place(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All of them are given the same reservation."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=5)

    async def call(_: int) -> TenantSignupInviteReservation:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.tenant_signup_invite_reservations.reserve(invite.id, "a@example.com")

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert not outcomes.errors
    assert len({row.id for row in outcomes.results}) == 1


@pytest.mark.agentdb_commits
async def test_a_redemption_and_a_release_at_once_have_one_winner(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The place is redeemed, or it is free: the count of the invite tells which."""
    user, tenant = agentdb_make.user(), agentdb_make.tenant
    for _ in range(5):
        invite = agentdb_make.tenant_signup_invite()
        async with agentdb_database.begin_system(reason="test") as uow:
            held = await uow.tenant_signup_invite_reservations.reserve(invite.id, "a@example.com")
        key = held.id

        async def call(number: int, key: UUID = key) -> None:
            async with agentdb_database.begin_system(reason="test") as uow:
                verbs = uow.tenant_signup_invite_reservations
                if number % 2:
                    await verbs.release(key, "signup_failed")
                else:
                    await verbs.finalize(key, tenant_id=tenant.id, user_id=user.id)

        outcomes = await run_concurrently(4, call, database=agentdb_database)
        async with agentdb_database.read(reason="test") as uow:
            row = await uow.tenant_signup_invite_reservations.require(held.id)
            found = await uow.tenant_signup_invites.require(invite.id)

        redeemed = row.status == Status.FINALIZED
        assert found.redeemed_count == int(redeemed)
        assert [type(error) for error in outcomes.errors] == (
            [] if redeemed else [ReservationExpiredError] * 2
        )


async def test_a_tenants_unit_reserves_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """There is no tenant before the sign-up."""
    invite = agentdb_make.tenant_signup_invite()
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.tenant_signup_invite_reservations.reserve(invite.id, "a@example.com")
