"""Families of refresh tokens against a model that is a handful of fields."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, UnitOfWork
from agentdb.auth.revocations import Revoked
from agentdb.operations import (
    issue_session,
    revoke_session,
    revoke_sessions_all,
    rotate,
    sign_up,
)
from agentdb.types import uuid_pk
from tests.auth.credentials import new_token
from tests.machines import run_machine

T = TypeVar("T")

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
CHOICES = st.integers(0, 1000)
"""Picks one of the tokens, or sessions, that there are."""


@dataclass
class Token:
    """What a token should be.

    Attributes:
        family: The session, or the scope of a service account.
        expires_at: When it lapses.
        revoked_at: When it was revoked.
        reason: Why.
    """

    family: UUID | str
    expires_at: datetime
    revoked_at: datetime | None = None
    reason: str | None = None


class Families(RuleBasedStateMachine):
    """Rules do what clients, thieves and time do; each in a unit of its own."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.tokens: dict[str, Token] = {}
        self.sessions: dict[UUID, str | None] = {}
        """Why each session was revoked."""
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        async with self.database.begin_system(reason="test") as uow:
            made = await sign_up(
                uow,
                email=f"{uuid_pk()}@example.com",
                password_hash="digest",
                tenant_name="Model",
                activate=True,
            )
            self.tenant, self.user = made.tenant.id, made.user.id

    def act(self, call: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run verbs in a unit of the tenant, which commits."""

        async def unit() -> T:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await call(uow)

        return self.runner.run(unit())

    def jti(self, number: int) -> str:
        """Return the id of the token with a number; they are unique across tenants."""
        return f"{self.user.hex}-{number}"

    def chosen(self, choice: int) -> str | None:
        """Return the id of a token that there is."""
        return list(self.tokens)[choice % len(self.tokens)] if self.tokens else None

    def end(self, reason: str, *families: UUID | str) -> int:
        """Revoke what is unrevoked of some families; return how many tokens."""
        ended = [t for t in self.tokens.values() if t.family in families and t.revoked_at is None]
        for token in ended:
            token.revoked_at, token.reason = self.now, reason
        for family in families:
            if isinstance(family, UUID) and self.sessions[family] is None:
                self.sessions[family] = reason
        return len(ended)

    @rule(minutes=st.sampled_from([0, 1, 30, 60, 61]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.now += timedelta(minutes=minutes)

    @rule()
    def log_in(self) -> None:
        """A new session, with its first token."""
        jti = self.jti(len(self.tokens))
        token = new_token(jti, at=self.now, lasts=HOUR)
        made = self.act(lambda uow: issue_session(uow, self.user, ["chat"], token, now=self.now))
        self.sessions[made.session.id] = None
        self.tokens[jti] = Token(made.session.id, self.now + HOUR)

    @rule(scope=st.sampled_from(["read", "write"]))
    def issue(self, scope: str) -> None:
        """A service account gets a token; the one that it had is replaced."""
        jti = self.jti(len(self.tokens))
        token = new_token(jti, at=self.now, lasts=HOUR)
        self.act(lambda uow: uow.service_account_tokens.issue("bot", [scope], token, now=self.now))
        self.end("replaced", scope)
        self.tokens[jti] = Token(scope, self.now + HOUR)

    @rule(choice=CHOICES, grace=st.sampled_from([0, 30]))
    def present(self, choice: int, grace: int) -> None:
        """A token comes, for the first time or again."""
        presented = self.chosen(choice)
        jti, length = self.jti(len(self.tokens)), timedelta(minutes=grace)
        token = new_token(jti, at=self.now, lasts=HOUR)
        outcome, made = self.act(
            lambda uow: rotate(uow, presented or "none", token, reuse_grace=length, now=self.now)
        )
        assert outcome == self.expected(presented, length)
        assert (made is not None) == (outcome == "rotated")
        if presented is None:
            return
        known = self.tokens[presented]
        if outcome == "rotated":
            known.revoked_at, known.reason = self.now, "rotated"
            self.tokens[jti] = replace(known, expires_at=self.now + HOUR, revoked_at=None)
            self.tokens[jti].reason = None
        if outcome == "reused":
            self.end("reuse_detected", known.family)

    def expected(self, presented: str | None, grace: timedelta) -> str:
        """Return what should become of a token that is presented."""
        if presented is None:
            return "unknown"
        token = self.tokens[presented]
        if token.revoked_at is None:
            return "rotated" if self.now < token.expires_at else "expired"
        if token.reason != "rotated":
            return "revoked"
        return "superseded" if grace and self.now - token.revoked_at <= grace else "reused"

    @rule(choice=CHOICES)
    def revoke(self, choice: int) -> None:
        """One token is revoked; its session goes on without it."""
        jti = self.chosen(choice)
        if jti is None:
            return
        done = self.act(lambda uow: uow.service_account_tokens.revoke(jti, "lost", now=self.now))
        token = self.tokens[jti]
        assert done == (token.revoked_at is None)
        if done:
            token.revoked_at, token.reason = self.now, "lost"

    @rule(choice=CHOICES)
    def log_out(self, choice: int) -> None:
        """A session ends with its tokens."""
        if not self.sessions:
            return
        key = list(self.sessions)[choice % len(self.sessions)]
        was_live = self.sessions[key] is None
        found = self.act(lambda uow: revoke_session(uow, key, self.user, "out", now=self.now))
        assert found == (Revoked(1, self.end("out", key)) if was_live else Revoked(0, 0))

    @rule(choice=CHOICES | st.none())
    def log_out_of_all(self, choice: int | None) -> None:
        """All sessions but one end, and no token of the service account."""
        keys = list(self.sessions)
        kept = None if choice is None or not keys else keys[choice % len(keys)]
        found = self.act(
            lambda uow: revoke_sessions_all(
                uow, self.user, "all", except_session_id=kept, now=self.now
            )
        )
        others = [key for key in keys if key != kept]
        live = sum(self.sessions[key] is None for key in others)
        assert found == Revoked(live, self.end("all", *others))

    @invariant()
    def is_as_the_model_says(self) -> None:
        """The stored rows are those of the model, and a session names its newest token."""

        async def read(uow: UnitOfWork) -> Any:
            tokens = await uow.service_account_tokens.all()
            return tokens, await uow.user_sessions.all()

        tokens, sessions = self.act(read)
        assert {t.refresh_jti: (t.revoked_at, t.revoked_reason) for t in tokens} == {
            jti: (t.revoked_at, t.reason) for jti, t in self.tokens.items()
        }
        assert {s.id: s.revoked_reason for s in sessions} == self.sessions
        newest = {token.family: jti for jti, token in self.tokens.items()}
        assert {s.id: s.refresh_jti for s in sessions} == {s.id: newest[s.id] for s in sessions}
        for scope in ("read", "write"):
            mine = [t for t in self.tokens.values() if t.family == scope]
            assert sum(t.revoked_at is None for t in mine) <= 1


@pytest.mark.agentdb_commits
def test_families_of_tokens_behave_as_their_model(agentdb_database: Database) -> None:
    """Log-ins, rotations, thefts, revocations and log-outs, in any order, as time goes by."""
    run_machine(Families, agentdb_database, steps=25, examples=20)
