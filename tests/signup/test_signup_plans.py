"""The look-ups and sweeps of sign-up follow indexes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from sqlalchemy import text

from agentdb import Database, UnitOfWork
from agentdb.maintenance.signup import (
    ApprovedRequests,
    LapsedInvites,
    LapsedReservations,
    RejectedRequests,
)
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
    TenantSignupRequest,
)
from agentdb.signup.values import (
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
    TenantSignupRequestStatus,
)
from agentdb.types import utc_now
from tests.plans import plans_of, sorts

pytestmark = pytest.mark.agentdb_plans

Work: TypeAlias = Callable[[UnitOfWork, UUID], Awaitable[Any]]

MINUTE = timedelta(minutes=1)
NOW = timedelta(0)

LOOKUPS: dict[str, tuple[Work, str]] = {
    "submit": (
        lambda uow, _: uow.tenant_signup_requests.submit("a@b.c", ip_address="192.0.2.1"),
        "ix_tenant_signup_requests_pending_ip",
    ),
    "requests in a state": (
        lambda uow, _: uow.tenant_signup_requests.search(
            status=TenantSignupRequestStatus.APPROVED, limit=1
        ),
        "ix_tenant_signup_requests_status_created",
    ),
    "reserve": (
        lambda uow, invite: uow.tenant_signup_invite_reservations.reserve(invite, "a@b.c"),
        "ix_signup_invite_reservations_invite_status",
    ),
    "revoke": (
        lambda uow, invite: uow.tenant_signup_invites.revoke(invite, "lost"),
        "ix_signup_invite_reservations_invite_status",
    ),
    "invites in a state": (
        lambda uow, _: uow.tenant_signup_invites.search(status=TenantSignupInviteStatus.REVOKED),
        "ix_tenant_signup_invites_status",
    ),
    "invites of a request": (
        lambda uow, key: uow.tenant_signup_invites.search(signup_request_id=key),
        "ix_tenant_signup_invites_signup_request_id",
    ),
    "sweep of invites": (
        lambda uow, _: LapsedInvites(None, NOW).change(uow, None, 10),
        "ix_tenant_signup_invites_due",
    ),
    "sweep of reservations": (
        lambda uow, _: LapsedReservations(None, NOW).change(uow, None, 10),
        "ix_tenant_signup_invite_reservations_due",
    ),
    "purge of approved requests": (
        lambda uow, _: ApprovedRequests(None, NOW).change(uow, None, 10),
        "ix_tenant_signup_requests_status_created",
    ),
    "purge of rejected requests": (
        lambda uow, _: RejectedRequests(None, NOW).change(uow, None, 10),
        "ix_tenant_signup_requests_status_created",
    ),
}

UNSORTED = ("requests in a state", "sweep", "purge")
"""Those that come in the order of their index."""


async def fill(uow: UnitOfWork) -> UUID:
    """Store what a host has after a while, mostly done with; return an invite.

    Both databases count it: of so many rows an index that leads to all of a state would cost more.
    """
    now = utc_now()
    states = ["active", "expired", "exhausted", "revoked"]
    invites = [
        TenantSignupInvite(
            token_hash=f"{n}",
            token_hint="hint",
            max_redemptions=100,
            status=TenantSignupInviteStatus(states[n % 4]),
            expires_at=now + ((n + 1) * MINUTE if n % 4 == 0 else -n * MINUTE),
        )
        for n in range(1000)
    ]
    await uow.tenant_signup_invites.add_many(invites)
    reservations = [
        TenantSignupInviteReservation(
            invite_id=invites[n // 10].id,
            email=f"{n}@b.c",
            status=SignupInviteReservationStatus("expired" if n % 4 else "active"),
            expires_at=now + (-n * MINUTE if n % 4 else n * MINUTE),
        )
        for n in range(2000)
    ]
    await uow.tenant_signup_invite_reservations.add_many(reservations)
    requests = [
        TenantSignupRequest(
            email=f"{n}@b.c",
            ip_address=f"192.0.{n // 256}.{n % 256}",
            status=TenantSignupRequestStatus(["approved", "rejected", "pending"][n % 3]),
        )
        for n in range(2000)
    ]
    await uow.tenant_signup_requests.add_many(requests)
    return invites[0].id


@pytest.mark.parametrize("name", LOOKUPS)
async def test_a_look_up_follows_its_index(agentdb_database: Database, name: str) -> None:
    """It reads no table from end to end, and a walk sorts nothing."""
    work, index = LOOKUPS[name]
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await fill(uow)
        await uow.execute(text("ANALYZE"))
        plans = await plans_of(uow, work(uow, invite))

    assert index in frozenset[str]().union(*(plan.indexes for plan in plans))
    assert [plan.text for plan in plans if plan.scans] == []
    if name.startswith(UNSORTED):
        assert not any(sorts(plan) for plan in plans)
