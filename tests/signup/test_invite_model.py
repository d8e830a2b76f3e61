"""Invites and their reservations against a model that is two lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import delete

from agentdb import Database, UnitOfWork
from agentdb.errors import AgentDBError
from agentdb.maintenance import expire_invites, expire_reservations
from agentdb.signup.models import TenantSignupInvite
from agentdb.testing import Factory, FrozenClock
from tests.machines import run_machine

START = datetime(2026, 1, 1, tzinfo=UTC)
EMAILS = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"]
CHOICES = st.integers(0, 1000)
"""Picks one of the invites, or reservations, that there are."""


@dataclass
class Invite:
    """What an invite should be."""

    key: UUID
    most: int
    ends: datetime | None
    email: str | None
    status: str = "active"
    redeemed: int = 0


@dataclass
class Place:
    """What a reservation should be."""

    key: UUID
    invite: Invite
    email: str
    ends: datetime
    status: str = "active"
    user: UUID | None = None


class Invites(RuleBasedStateMachine):
    """Rules do what hosts, guests, sweeps and time do; each in a unit of its own."""

    database: Database
    clock: FrozenClock
    runner: asyncio.Runner
    tenant: UUID
    users: list[UUID]

    def __init__(self) -> None:
        super().__init__()
        self.clock.move_to(START)
        self.invites: list[Invite] = []
        self.places: list[Place] = []
        self.act(lambda uow: uow.execute(delete(TenantSignupInvite)))

    @property
    def now(self) -> datetime:
        """The instant of the database's clock."""
        return self.clock()

    def act(self, call: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
        """Run a verb in a unit that commits; return what it returns, or why it refuses."""

        async def unit() -> Any:
            async with self.database.begin_system(reason="test") as uow:
                return await call(uow)

        try:
            return self.runner.run(unit())
        except AgentDBError as error:
            return getattr(error, "reason", type(error).__name__)

    def live(self, invite: Invite) -> list[Place]:
        """Return the reservations that hold places of an invite."""
        return [p for p in self.places if p.invite is invite and self.holds(p)]

    def holds(self, place: Place) -> bool:
        """Tell whether a reservation is live."""
        return place.status == "active" and place.ends > self.now

    def state(self, invite: Invite) -> str:
        """Return the state of an invite, by the clock."""
        over = invite.ends is not None and invite.ends <= self.now
        return "expired" if invite.status == "active" and over else invite.status

    @rule(minutes=st.sampled_from([0, 1, 5, 15, 30]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.clock.advance(timedelta(minutes=minutes))

    @rule(
        most=st.integers(1, 3),
        minutes=st.sampled_from([10, 30, 60]) | st.none(),
        email=st.sampled_from(EMAILS[:1]) | st.none(),
    )
    def issue(self, most: int, minutes: int | None, email: str | None) -> None:
        """A new invite, for anybody or for one."""
        ends = None if minutes is None else self.now + timedelta(minutes=minutes)
        row = self.act(
            lambda uow: uow.tenant_signup_invites.issue(
                f"{len(self.invites)}",
                "hint",
                max_redemptions=most,
                expires_at=ends,
                invited_email=email,
            )
        )
        self.invites.append(Invite(row.id, most, ends, email))

    @rule(choice=CHOICES, email=st.sampled_from(EMAILS), minutes=st.sampled_from([1, 15, 40]))
    def reserve(self, choice: int, email: str, minutes: int) -> None:
        """Somebody asks for a place."""
        if not self.invites:
            return
        invite = self.invites[choice % len(self.invites)]
        ttl = timedelta(minutes=minutes)
        made = self.act(
            lambda uow: uow.tenant_signup_invite_reservations.reserve(invite.key, email, ttl=ttl)
        )
        ends = min(self.now + ttl, invite.ends) if invite.ends else self.now + ttl
        live = self.live(invite)
        mine = [place for place in live if place.email == email]
        if self.state(invite) != "active":
            assert made == self.state(invite)
        elif invite.email not in {None, email}:
            assert made == "wrong_email"
        elif mine:
            assert made.id == mine[0].key
            mine[0].ends = max(mine[0].ends, ends)
        elif invite.redeemed + len(live) >= invite.most:
            assert made == "full"
        else:
            for place in self.places:
                if place.invite is invite and place.status == "active" and place not in live:
                    place.status = "expired"
            self.places.append(Place(made.id, invite, email, ends))

    @rule(choice=CHOICES, guest=st.integers(0, len(EMAILS) - 1) | st.none())
    def finalize(self, choice: int, guest: int | None) -> None:
        """A sign-up is done, most often by who has reserved the place."""
        if not self.places:
            return
        place = self.places[choice % len(self.places)]
        email = place.email if guest is None else EMAILS[guest]
        user = self.users[EMAILS.index(email)]
        done = self.act(
            lambda uow: uow.tenant_signup_invite_reservations.finalize(
                place.key, tenant_id=self.tenant, user_id=user
            )
        )
        if place.status == "finalized":
            assert (done == "ConflictError") == (place.user != user)
        elif not self.holds(place):
            assert done == "ReservationExpiredError"
        elif place.invite.email not in {None, email}:
            assert done == "wrong_email"
        else:
            assert done.status == "finalized"
            place.status, place.user = "finalized", user
            place.invite.redeemed += 1
            if place.invite.redeemed == place.invite.most:
                place.invite.status = "exhausted"

    @rule(choice=CHOICES)
    def release(self, choice: int) -> None:
        """A sign-up came to nothing."""
        if not self.places:
            return
        place = self.places[choice % len(self.places)]
        row = self.act(lambda uow: uow.tenant_signup_invite_reservations.release(place.key, "no"))
        place.status = "released" if place.status == "active" else place.status
        assert row.status == place.status

    @rule(choice=CHOICES)
    def revoke(self, choice: int) -> None:
        """The host takes an invite back."""
        if not self.invites:
            return
        invite = self.invites[choice % len(self.invites)]
        done = self.act(lambda uow: uow.tenant_signup_invites.revoke(invite.key, "lost"))
        if self.state(invite) in {"exhausted", "expired"}:
            assert done == "InvalidTransitionError"
            return
        assert done is (invite.status == "active")
        for place in self.live(invite) if done else []:
            place.status = "released"
        invite.status = "revoked"

    @rule()
    def sweep_invites(self) -> None:
        """What is past its time is marked; at the instant itself not yet."""
        due = [i for i in self.invites if i.status == "active" and i.ends and i.ends < self.now]
        report = self.runner.run(expire_invites(self.database))
        assert report.counts == {"expired": len(due)}
        for invite in due:
            invite.status = "expired"

    @rule()
    def sweep_reservations(self) -> None:
        """Alike."""
        due = [p for p in self.places if p.status == "active" and p.ends < self.now]
        report = self.runner.run(expire_reservations(self.database))
        assert report.counts == {"expired": len(due)}
        for place in due:
            place.status = "expired"

    @invariant()
    def is_as_the_model_says(self) -> None:
        """The stored rows are those of the model, and no place is given away twice."""

        async def read(uow: UnitOfWork) -> Any:
            places = await uow.tenant_signup_invite_reservations.all()
            return await uow.tenant_signup_invites.all(), places

        invites, places = self.act(read)
        assert {row.id: (row.status, row.redeemed_count) for row in invites} == {
            invite.key: (invite.status, invite.redeemed) for invite in self.invites
        }
        assert {row.id: (row.status, row.expires_at, row.user_id) for row in places} == {
            place.key: (place.status, place.ends, place.user) for place in self.places
        }
        for row in invites:
            mine = [place for place in places if place.invite_id == row.id]
            live = [p for p in mine if p.status == "active" and p.expires_at > self.now]
            assert row.redeemed_count + len(live) <= row.max_redemptions
            full = row.redeemed_count == row.max_redemptions
            assert full == (row.status == "exhausted")


@pytest.mark.agentdb_commits
def test_invites_behave_as_their_model(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock, agentdb_make: Factory
) -> None:
    """Invites, reservations, redemptions, releases, revocations and sweeps, in any order."""
    people = {
        "tenant": agentdb_make.tenant.id,
        "users": [agentdb_make.user(email=email).id for email in EMAILS],
    }
    clock = agentdb_freeze_now
    run_machine(Invites, agentdb_database, steps=40, examples=25, clock=clock, **people)
