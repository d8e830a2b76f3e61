"""How many statements the verbs of sign-up send: each number is exact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.operations import approve_signup_request, reject_signup_request, sign_up
from agentdb.signup.rows import NewInvite
from agentdb.signup.values import TenantSignupInviteStatus, TenantSignupRequestStatus
from agentdb.testing import Factory, capture_statements
from agentdb.types import utc_now

Rows: TypeAlias = dict[str, UUID]
Work: TypeAlias = Callable[[UnitOfWork, Rows], Awaitable[Any]]

INVITE = NewInvite(token_hash="digest", token_hint="gest")

SENT: dict[str, tuple[Work, int, int]] = {
    "submit": (
        lambda uow, _: uow.tenant_signup_requests.submit("a@b.c", ip_address="192.0.2.1"),
        4,
        2,
    ),
    "search for requests": (
        lambda uow, _: uow.tenant_signup_requests.search(status=TenantSignupRequestStatus.PENDING),
        1,
        1,
    ),
    "approve": (
        lambda uow, rows: approve_signup_request(uow, rows["request"], rows["user"], INVITE),
        3,
        2,
    ),
    "reject": (
        lambda uow, rows: reject_signup_request(uow, rows["request"], rows["user"]),
        1,
        1,
    ),
    "issue": (lambda uow, _: uow.tenant_signup_invites.issue("digest", "gest"), 2, 1),
    "search for invites": (
        lambda uow, _: uow.tenant_signup_invites.search(status=TenantSignupInviteStatus.ACTIVE),
        1,
        1,
    ),
    "revoke": (lambda uow, rows: uow.tenant_signup_invites.revoke(rows["invite"], "lost"), 4, 3),
    "reserve": (
        lambda uow, rows: uow.tenant_signup_invite_reservations.reserve(rows["invite"], "a@b.c"),
        6,
        5,
    ),
    "reserve again": (
        lambda uow, rows: uow.tenant_signup_invite_reservations.reserve(rows["invite"], "held@b.c"),
        3,
        2,
    ),
    "finalize": (
        lambda uow, rows: uow.tenant_signup_invite_reservations.finalize(
            rows["place"], tenant_id=rows["tenant"], user_id=rows["user"]
        ),
        6,
        5,
    ),
    "release": (
        lambda uow, rows: uow.tenant_signup_invite_reservations.release(rows["place"], "no"),
        1,
        1,
    ),
    "sign-up": (
        lambda uow, rows: sign_up(
            uow,
            email="held@b.c",
            password_hash="digest",
            tenant_name="Labs",
            reservation_id=rows["place"],
        ),
        12,
        15,
    ),
}


@pytest.mark.parametrize("name", SENT)
async def test_a_verb_sends_so_many_statements(
    agentdb_database: Database, agentdb_make: Factory, name: str
) -> None:
    """PostgreSQL is asked for its clock and the lock of an address; SQLite for what it holds."""
    work, postgresql, sqlite = SENT[name]
    invite = agentdb_make.tenant_signup_invite(max_redemptions=3)
    place = agentdb_make.tenant_signup_invite_reservation(
        invite=invite, email="held@b.c", expires_at=utc_now() + timedelta(hours=1)
    )
    rows = {
        "user": agentdb_make.user().id,
        "tenant": agentdb_make.tenant.id,
        "request": agentdb_make.tenant_signup_request().id,
        "invite": invite.id,
        "place": place.id,
    }
    async with agentdb_database.begin_system(reason="test") as uow:
        with capture_statements(uow) as sent:
            await work(uow, rows)

        assert len(sent) == (postgresql if uow.is_postgresql else sqlite), sent
