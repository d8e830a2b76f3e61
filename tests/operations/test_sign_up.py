from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import TenantRole, UserStatus
from agentdb.errors import (
    DuplicateError,
    InvalidValueError,
    InviteUnavailableError,
    PermissionDeniedError,
    ReservationExpiredError,
)
from agentdb.operations import SignedUp, sign_up
from agentdb.signup.models import TenantSignupInvite, TenantSignupInviteReservation
from agentdb.testing import run_concurrently

TWO_HOURS = timedelta(hours=2)


async def reserved(uow: UnitOfWork, lasts: timedelta) -> UUID:
    """Return the id of a reservation that ends after *lasts*."""
    invite = await uow.tenant_signup_invites.add(
        TenantSignupInvite(token_hash=uuid4().hex, token_hint="abcd")
    )
    reservation = TenantSignupInviteReservation(
        invite_id=invite.id, email="ada@example.com", expires_at=datetime.now(UTC) + lasts
    )
    return (await uow.tenant_signup_invite_reservations.add(reservation)).id


async def counts(uow: UnitOfWork) -> dict[str, int]:
    """Return how many rows the tables of a sign-up hold."""
    return {
        "tenants": await uow.tenant_accounts.count(),
        "users": await uow.users.count(),
        "profiles": await uow.user_profiles.count(),
        "memberships": await uow.tenant_user_memberships.count(),
        "history": await uow.password_history.count(),
    }


async def test_a_sign_up_makes_all_that_a_tenant_begins_with(agentdb_database: Database) -> None:
    """Tenant, user, profile, owner's membership and password history, in one unit."""
    async with agentdb_database.begin_system(reason="test") as uow:
        made = await sign_up(
            uow,
            email="  Ada@Example.COM ",
            password_hash="digest",
            tenant_name="  Ada's   Labs ",
            display_name="Ada",
        )
        profile = await uow.user_profiles.by_user_id(made.user.id)
        history = await uow.password_history.for_user(made.user.id)

        assert (made.tenant.name, made.tenant.slug) == ("Ada's Labs", "ada-s-labs")
        assert (made.user.email, made.user.status) == ("ada@example.com", UserStatus.PENDING)
        assert (TenantRole.OWNER, made.tenant.id) == (
            made.membership.role,
            made.membership.tenant_id,
        )
        assert profile is not None
        assert profile.display_name == "Ada"
        assert [row.password_hash for row in history] == ["digest"]


async def test_a_sign_up_may_activate_and_redeem(agentdb_database: Database) -> None:
    """With a live reservation the invite is redeemed for the new tenant and user."""
    async with agentdb_database.begin_system(reason="test") as uow:
        reservation = await reserved(uow, timedelta(minutes=5))
        made = await sign_up(
            uow,
            email="ada@example.com",
            password_hash="digest",
            tenant_name="Labs",
            reservation_id=reservation,
            activate=True,
        )
        row = await uow.tenant_signup_invite_reservations.require(reservation)

        assert made.user.status == UserStatus.ACTIVE
        assert (made.tenant.id, made.user.id) == (row.tenant_id, row.user_id)


@pytest.mark.agentdb_commits
async def test_sixty_four_sign_ups_with_one_address_make_one_tenant(
    agentdb_database: Database,
) -> None:
    """One of them succeeds; the others raise and leave nothing."""

    async def call(_: int) -> SignedUp:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await sign_up(
                uow, email="ada@example.com", password_hash="digest", tenant_name="Labs"
            )

    results = await run_concurrently(64, call, database=agentdb_database)

    assert sum(isinstance(result, SignedUp) for result in results) == 1
    assert sum(isinstance(result, DuplicateError) for result in results) == 63
    async with agentdb_database.begin_system(reason="test") as uow:
        assert {1} == set((await counts(uow)).values())


async def test_a_sign_up_goes_by_the_clock_that_it_is_given(agentdb_database: Database) -> None:
    """The password history and the redemption have its time; a reservation may be over by it."""
    now = datetime.now(UTC) + timedelta(hours=1)
    async with agentdb_database.begin_system(reason="test") as uow:
        over, live = await reserved(uow, timedelta(minutes=59)), await reserved(uow, TWO_HOURS)
        given: dict[str, Any] = {"email": "ada@example.com", "password_hash": "digest", "now": now}
        with pytest.raises(ReservationExpiredError):
            await sign_up(uow, tenant_name="Labs", reservation_id=over, **given)
        made = await sign_up(uow, tenant_name="Labs", reservation_id=live, **given)
        (entry,) = await uow.password_history.recent(made.user.id)
        row = await uow.tenant_signup_invite_reservations.require(live)

        assert entry.created_at == row.finalized_at == now


@pytest.mark.agentdb_commits
async def test_sixty_four_sign_ups_with_one_slug_make_sixty_four_tenants(
    agentdb_database: Database,
) -> None:
    """One has the slug that all want; each of the others is given a free one."""

    async def call(number: int) -> SignedUp:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await sign_up(
                uow,
                email=f"{number}@example.com",
                password_hash="digest",
                tenant_name="Labs",
                slug_hint="labs",
            )

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert not outcomes.errors
    slugs = {made.tenant.slug for made in outcomes.results}
    assert len(slugs) == 64
    assert "labs" in slugs


async def test_an_invite_for_another_address_leaves_nothing(agentdb_database: Database) -> None:
    """Who holds the reservation of somebody else's invite signs up with neither."""
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await uow.tenant_signup_invites.issue(
            "digest", "gest", invited_email="ada@example.com"
        )
        held = await uow.tenant_signup_invite_reservations.reserve(invite.id, "ada@example.com")
        before = await counts(uow)
        with pytest.raises(InviteUnavailableError):
            await sign_up(
                uow,
                email="eve@example.com",
                password_hash="digest",
                tenant_name="Labs",
                reservation_id=held.id,
            )

        assert before == await counts(uow)
        assert (await uow.tenant_signup_invites.require(invite.id)).redeemed_count == 0


async def test_an_expired_reservation_leaves_nothing(agentdb_database: Database) -> None:
    """The sign-up is undone as a whole, and the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        reservation = await reserved(uow, timedelta(seconds=-1))
        before = await counts(uow)
        with pytest.raises(ReservationExpiredError):
            await sign_up(
                uow,
                email="ada@example.com",
                password_hash="digest",
                tenant_name="Labs",
                reservation_id=reservation,
            )

        assert before == await counts(uow)


@pytest.mark.parametrize(
    ("email", "name"), [("no address", "Labs"), ("a@b@c", "Labs"), ("ada@example.com", " x ")]
)
async def test_bad_input_leaves_nothing(agentdb_database: Database, email: str, name: str) -> None:
    """An address or a name that is none raises, and nothing is stored."""
    async with agentdb_database.begin_system(reason="test") as uow:
        before = await counts(uow)
        with pytest.raises(InvalidValueError):
            await sign_up(uow, email=email, password_hash="digest", tenant_name=name)

        assert before == await counts(uow)


async def test_a_tenants_unit_signs_nobody_up(agentdb_uow: UnitOfWork) -> None:
    """A sign-up makes a tenant, which only a system unit may."""
    with pytest.raises(PermissionDeniedError):
        await sign_up(
            agentdb_uow, email="ada@example.com", password_hash="digest", tenant_name="Labs"
        )


async def test_no_repr_shows_the_password_hash(agentdb_database: Database) -> None:
    """Rows show their key alone."""
    async with agentdb_database.begin_system(reason="test") as uow:
        made = await sign_up(
            uow, email="ada@example.com", password_hash="sk-canary", tenant_name="Labs"
        )

        assert not re.search("canary|example", repr(made))
