from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    InviteUnavailableError,
    NaiveDatetimeError,
    NotFoundError,
    PermissionDeniedError,
    ReservationExpiredError,
)
from agentdb.maintenance import expire_invites
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.testing import Factory, FrozenClock, run_concurrently

HOUR = timedelta(hours=1)
Status = TenantSignupInviteStatus


async def test_an_invite_is_issued_active(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """It holds what it was given, and nobody has redeemed it."""
    user, tenant = agentdb_make.user(), agentdb_make.tenant
    async with agentdb_database.begin_system(reason="test") as uow:
        row = await uow.tenant_signup_invites.issue(
            "digest",
            "abcd",
            max_redemptions=3,
            invited_email=" Ada@Example.com",
            issuer_user_id=user.id,
            issuer_tenant_id=tenant.id,
            note="by hand",
        )

        assert (row.status, row.max_redemptions, row.redeemed_count) == (Status.ACTIVE, 3, 0)
        assert (row.invited_email, row.issuer_user_id) == ("ada@example.com", user.id)
        assert (row.issuer_tenant_id, row.note, row.expires_at) == (tenant.id, "by hand", None)
        with pytest.raises(DuplicateError):
            await uow.tenant_signup_invites.issue("digest", "abcd")


@pytest.mark.parametrize("redemptions", [0, -1, True, 2**31])
async def test_an_invite_has_redemptions(agentdb_database: Database, redemptions: int) -> None:
    """One or more, and no more than the column holds."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await uow.tenant_signup_invites.issue("digest", "abcd", max_redemptions=redemptions)

        assert await uow.tenant_signup_invites.count() == 0


async def test_an_invite_expires_in_the_future(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """By the clock of the unit; an instant needs a time zone."""
    async with agentdb_database.begin_system(reason="test") as uow:
        issue = uow.tenant_signup_invites.issue
        for ends in (agentdb_freeze_now(), agentdb_freeze_now() - HOUR):
            with pytest.raises(InvalidValueError):
                await issue("digest", "abcd", expires_at=ends)
        with pytest.raises(NaiveDatetimeError):
            await issue("digest", "abcd", expires_at=datetime(2999, 1, 1))  # noqa: DTZ001 -- refused
        with pytest.raises(NotFoundError):
            await issue("digest", "abcd", issuer_user_id=uuid4())
        row = await issue("digest", "abcd", expires_at=agentdb_freeze_now() + HOUR)

        assert row.expires_at == agentdb_freeze_now() + HOUR


async def test_a_revocation_releases_what_is_reserved(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """Live reservations are released; the first time and reason stay; who redeemed it stays."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await uow.tenant_signup_invites.issue("digest", "abcd", max_redemptions=3)
        held = await uow.tenant_signup_invite_reservations.reserve(invite.id, "a@example.com")
        first = agentdb_freeze_now.advance(timedelta(minutes=1))

        assert await uow.tenant_signup_invites.revoke(invite.id, "lost")
        agentdb_freeze_now.advance(timedelta(minutes=1))
        assert not await uow.tenant_signup_invites.revoke(invite.id, "again")
        row = await uow.tenant_signup_invites.require(invite.id)
        assert (row.status, row.revoked_at, row.revoked_reason) == (Status.REVOKED, first, "lost")
        # The entity that the unit had loaded is up to date.
        assert (held.status, held.released_at, held.released_reason) == (
            SignupInviteReservationStatus.RELEASED,
            first,
            "invite_revoked",
        )


@pytest.mark.parametrize("swept", [False, True])
async def test_an_expired_invite_is_expired_on_every_path(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock, *, swept: bool
) -> None:
    """It is found, reserved, redeemed and revoked as such: never as revoked."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await uow.tenant_signup_invites.issue(
            "digest", "abcd", max_redemptions=3, expires_at=agentdb_freeze_now() + HOUR
        )
        held = await uow.tenant_signup_invite_reservations.reserve(
            invite.id, "a@example.com", ttl=2 * HOUR
        )
    agentdb_freeze_now.advance(HOUR + timedelta(microseconds=1))
    if swept:
        assert (await expire_invites(agentdb_database)).counts == {"expired": 1}
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InviteUnavailableError) as refused:
            await uow.tenant_signup_invite_reservations.reserve(invite.id, "b@example.com")
        with pytest.raises(InvalidTransitionError):
            await uow.tenant_signup_invites.revoke(invite.id, "late")
        with pytest.raises(ReservationExpiredError):
            await uow.tenant_signup_invite_reservations.finalize(
                held.id, tenant_id=uuid4(), user_id=uuid4()
            )
        found = {
            status: [
                row.id for row in (await uow.tenant_signup_invites.search(status=status)).items
            ]
            for status in Status
        }
        row = await uow.tenant_signup_invites.require(invite.id)

        assert refused.value.reason == "expired"
        assert found == {status: [] for status in Status} | {Status.EXPIRED: [invite.id]}
        assert row.status == (Status.EXPIRED if swept else Status.ACTIVE)
        assert (row.revoked_at, row.revoked_reason) == (None, None)


async def test_an_invite_expires_at_the_instant_it_names(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """A microsecond earlier it does not."""
    async with agentdb_database.begin_system(reason="test") as uow:
        ends = agentdb_freeze_now() + HOUR
        await uow.tenant_signup_invites.issue("digest", "abcd", expires_at=ends)
        search = uow.tenant_signup_invites.search

        before = await search(status=Status.ACTIVE, now=ends - timedelta(microseconds=1))
        assert len(before.items) == 1
        assert not (await search(status=Status.ACTIVE, now=ends)).items
        assert len((await search(status=Status.EXPIRED, now=ends)).items) == 1


async def test_a_revoked_or_exhausted_invite_stays_so(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """No sweep and no time makes another of it; an exhausted one cannot be revoked."""
    ends = agentdb_freeze_now() + HOUR
    revoked = agentdb_make.tenant_signup_invite(status="revoked", expires_at=ends)
    exhausted = agentdb_make.tenant_signup_invite(status="exhausted", expires_at=ends)
    agentdb_freeze_now.advance(2 * HOUR)
    await expire_invites(agentdb_database)
    async with agentdb_database.begin_system(reason="test") as uow:
        for invite, word in ((revoked, "revoked"), (exhausted, "exhausted")):
            with pytest.raises(InviteUnavailableError) as refused:
                await uow.tenant_signup_invite_reservations.reserve(invite.id, "a@example.com")
            assert refused.value.reason == word
        with pytest.raises(InvalidTransitionError):
            await uow.tenant_signup_invites.revoke(exhausted.id, "late")
        assert not await uow.tenant_signup_invites.revoke(revoked.id, "late")
        with pytest.raises(NotFoundError):
            await uow.tenant_signup_invites.revoke(uuid4(), "none")


async def test_invites_are_found_by_address_and_request(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """In any form of the address; conditions add up; each page goes on where one ended."""
    request = agentdb_make.tenant_signup_request()
    async with agentdb_database.begin_system(reason="test") as uow:
        issue, search = uow.tenant_signup_invites.issue, uow.tenant_signup_invites.search
        mine = await issue("1", "abcd", invited_email="ada@example.com")
        answer = await issue(
            "2", "abcd", invited_email="ada@example.com", signup_request_id=request.id
        )
        await issue("3", "abcd")

        found = await search(email=" ADA@example.com")
        assert {row.id for row in found.items} == {mine.id, answer.id}
        found = await search(email="ada@example.com", signup_request_id=request.id)
        assert [row.id for row in found.items] == [answer.id]
        first = await search(status=Status.ACTIVE, limit=2)
        rest = await search(status=Status.ACTIVE, limit=2, after=first.next_cursor)
        assert len({row.id for row in (*first.items, *rest.items)}) == 3


async def test_a_redemption_too_many_is_refused(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """A full invite counts no further, whatever made it so."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2, status="exhausted")
    async with agentdb_database.begin_system(reason="test") as uow:
        locked = await uow.tenant_signup_invites.require(invite.id, lock=True)
        with pytest.raises(InviteUnavailableError):
            await uow.tenant_signup_invites.redeem(locked, agentdb_freeze_now())

        assert (await uow.tenant_signup_invites.require(invite.id)).redeemed_count == 2


@pytest.mark.agentdb_commits
async def test_eight_callers_revoke_an_invite_once(agentdb_database: Database) -> None:
    """One of them does, and its reason stays."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await uow.tenant_signup_invites.issue("digest", "abcd")

    async def call(number: int) -> str | None:
        async with agentdb_database.begin_system(reason="test") as uow:
            done = await uow.tenant_signup_invites.revoke(invite.id, str(number))
            return str(number) if done else None

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert not outcomes.errors
    (reason,) = filter(None, outcomes.results)
    async with agentdb_database.read(reason="test") as uow:
        assert (await uow.tenant_signup_invites.require(invite.id)).revoked_reason == reason


async def test_a_tenants_unit_issues_and_revokes_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Invites are the system's."""
    invite = agentdb_make.tenant_signup_invite()
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.tenant_signup_invites.issue("digest", "abcd")
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.tenant_signup_invites.revoke(invite.id, "theirs")
