from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database
from agentdb.errors import InvalidValueError
from agentdb.maintenance import (
    Report,
    expire_invites,
    expire_reservations,
    purge_signup_requests,
)
from agentdb.testing import Factory, FrozenClock, run_concurrently
from agentdb.types import utc_now

DAY = timedelta(days=1)
VERBS: list[Callable[..., Awaitable[Report]]] = [
    expire_invites,
    expire_reservations,
    purge_signup_requests,
]


async def test_active_invites_expire(agentdb_database: Database, agentdb_make: Factory) -> None:
    """Those past their time alone; none without a time, revoked or exhausted."""
    now = utc_now()
    make = agentdb_make.tenant_signup_invite
    due = [make(expires_at=now - days * DAY).id for days in (1, 2, 9)]
    for status in ("revoked", "exhausted", "expired"):
        make(expires_at=now - DAY, status=status)
    live = [make(expires_at=now + DAY).id, make().id]
    old = await expire_invites(agentdb_database, older_than=7 * DAY, dry_run=True)
    dry = await expire_invites(agentdb_database, dry_run=True, batch=1)

    assert old.counts == {"expired": 1}
    assert dry == Report({"expired": 3}, done=True)
    assert dry == await expire_invites(agentdb_database, batch=2)
    assert await expire_invites(agentdb_database) == Report({"expired": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        rows = await uow.tenant_signup_invites.get_many([*due, *live])
        assert [rows[key].status for key in due] == ["expired"] * 3
        assert [rows[key].status for key in live] == ["active"] * 2


async def test_active_reservations_expire(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """They are marked with the time and the reason; released and redeemed ones stay."""
    now = agentdb_freeze_now()
    invite = agentdb_make.tenant_signup_invite(max_redemptions=9)

    def make(status: str, ends: timedelta) -> UUID:
        made = agentdb_make.tenant_signup_invite_reservation(
            invite=invite, status=status, expires_at=now + ends
        )
        return made.id

    due = [make("active", -days * DAY) for days in (1, 2)]
    kept = {make(s, -DAY): s for s in ("released", "finalized", "expired")}
    kept[make("active", DAY)] = "active"
    dry = await expire_reservations(agentdb_database, dry_run=True)

    assert dry == Report({"expired": 2}, done=True)
    assert dry == await expire_reservations(agentdb_database, batch=1)
    assert (await expire_reservations(agentdb_database)).counts == {"expired": 0}
    async with agentdb_database.read(reason="test") as uow:
        rows = {row.id: row for row in await uow.tenant_signup_invite_reservations.all()}
        for row in [rows[key] for key in due]:
            found = row.status, row.released_at, row.released_reason
            assert found == ("expired", now, "reservation_expired")
        assert {key: rows[key].status for key in rows if key in kept} == kept


async def test_decided_requests_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By the age of the decision, not of the request; the invite that answered one stays."""
    now = utc_now()
    make = agentdb_make.tenant_signup_request
    user = agentdb_make.user()
    old = [
        make(status=s, created_at=now - 200 * DAY, decided_at=now - 100 * DAY, decided_by=user.id)
        for s in ("approved", "rejected")
    ]
    invite = agentdb_make.tenant_signup_invite(signup_request_id=old[0].id)
    kept = {
        make(status="approved", created_at=now - 200 * DAY, decided_at=now - DAY).id,
        make(created_at=now - 200 * DAY).id,
    }
    dry = await purge_signup_requests(agentdb_database, dry_run=True)

    assert dry == Report({"deleted": 2}, done=True)
    assert await purge_signup_requests(agentdb_database, batch=1, max_batches=1) == Report(
        {"deleted": 1}, done=False
    )
    assert (await purge_signup_requests(agentdb_database)).counts == {"deleted": 1}
    assert await purge_signup_requests(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        assert {row.id for row in await uow.tenant_signup_requests.all()} == kept
        found = await uow.tenant_signup_invites.require(invite.id)
        assert found.signup_request_id is None


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
async def test_what_comes_before_a_sign_up_belongs_to_no_tenant(
    agentdb_database: Database, verb: Callable[..., Awaitable[Report]]
) -> None:
    """To name one is a mistake."""
    with pytest.raises(InvalidValueError):
        await verb(agentdb_database, tenant_id=uuid4())


@pytest.mark.agentdb_commits
async def test_several_processes_expire_each_invite_once(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """What one changes, another skips or finds changed."""
    for _ in range(20):
        agentdb_make.tenant_signup_invite(expires_at=utc_now() - DAY)

    async def expire(_: int) -> int:
        return (await expire_invites(agentdb_database, batch=3)).counts["expired"]

    outcomes = await run_concurrently(4, expire, database=agentdb_database)
    left = await expire_invites(agentdb_database)

    assert sum(outcomes.results) + left.counts["expired"] == 20


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_locked_invite_is_left_to_the_next_run(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A sweep waits for nobody."""
    invites = [agentdb_make.tenant_signup_invite(expires_at=utc_now() - DAY) for _ in range(2)]
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.tenant_signup_invites.require(invites[0].id, lock=True)
        assert (await expire_invites(agentdb_database)).counts == {"expired": 1}

    assert (await expire_invites(agentdb_database)).counts == {"expired": 1}


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
async def test_a_verb_starts_from_a_url(
    agentdb_url: str, verb: Callable[..., Awaitable[Report]]
) -> None:
    """It opens the database and closes it again."""
    assert (await verb(agentdb_url)).done
