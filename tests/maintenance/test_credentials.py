from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.models import UserSession
from agentdb.auth.values import UserStatus
from agentdb.maintenance import Report, purge_recovery_codes, purge_sessions, purge_tokens
from agentdb.maintenance.credentials import (
    EndedTokens,
    IdleSessions,
    RevokedSessions,
    UnseenSessions,
    UsedCodes,
)
from agentdb.maintenance.runner import Sweep
from agentdb.operations import issue_session, rotate
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.auth.credentials import new_token
from tests.plans import plans_of

DAY = timedelta(days=1)
YEAR = 365 * DAY
NOW = utc_now()
OLD = NOW - YEAR


def idle_session(make: Factory, **token: object) -> UserSession:
    """Return a live session that was seen long ago, with a token unless *token* is empty."""
    session = make.user_session(last_seen_at=OLD, created_at=OLD)
    if token:
        make.service_account_token(
            account=f"user:{session.user_id}", session=session, issued_at=OLD, **token
        )
    return session


async def left(database: Database) -> tuple[set[UUID], set[str]]:
    """Return the ids of the sessions and of the tokens that are there."""
    async with database.read(reason="test") as uow:
        sessions = {row.id for row in await uow.user_sessions.all()}
        return sessions, {row.refresh_jti for row in await uow.service_account_tokens.all()}


async def test_sessions_that_ended_long_ago_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By the time of their revocation, however lately they were seen; their tokens stay."""
    old = agentdb_make.user_session(last_seen_at=NOW, revoked_at=OLD)
    agentdb_make.service_account_token(refresh_jti="left", session=old, expires_at=NOW + DAY)
    young = agentdb_make.user_session(last_seen_at=OLD, revoked_at=NOW)
    dry = await purge_sessions(agentdb_database, dry_run=True)

    assert dry == await purge_sessions(agentdb_database) == Report({"deleted": 1}, done=True)
    assert await purge_sessions(agentdb_database) == Report({"deleted": 0}, done=True)
    assert await left(agentdb_database) == ({young.id}, {"left"})


async def test_idle_sessions_without_a_token_that_works_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """One that can go on stays, however long ago it was seen; never seen, its making counts."""
    idle_session(agentdb_make)
    idle_session(agentdb_make, expires_at=NOW - DAY)
    idle_session(agentdb_make, expires_at=NOW + DAY, revoked_at=OLD)
    agentdb_make.user_session(created_at=OLD, last_seen_at=None)
    alive = idle_session(agentdb_make, expires_at=NOW + DAY)
    seen = agentdb_make.user_session(created_at=OLD, last_seen_at=NOW)
    new = agentdb_make.user_session(created_at=NOW, last_seen_at=None)
    dry = await purge_sessions(agentdb_database, dry_run=True)

    assert dry == await purge_sessions(agentdb_database) == Report({"deleted": 4}, done=True)
    assert (await purge_sessions(agentdb_database)).counts == {"deleted": 0}
    assert (await left(agentdb_database))[0] == {alive.id, seen.id, new.id}


async def test_tokens_that_ended_long_ago_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By expiry or by revocation, whichever is long ago; the others stay."""
    for jti, expires_at, revoked_at in [
        ("expired", OLD, None),
        ("revoked", NOW + DAY, OLD),
        ("lately expired", NOW - DAY, None),
        ("lately revoked", NOW + DAY, NOW),
        ("alive", NOW + DAY, None),
    ]:
        agentdb_make.service_account_token(
            account=jti, refresh_jti=jti, expires_at=expires_at, revoked_at=revoked_at
        )
    dry = await purge_tokens(agentdb_database, dry_run=True)

    assert dry == await purge_tokens(agentdb_database) == Report({"deleted": 2}, done=True)
    assert await purge_tokens(agentdb_database) == Report({"deleted": 0}, done=True)
    assert (await left(agentdb_database))[1] == {"lately expired", "lately revoked", "alive"}


async def test_a_reuse_shows_after_a_purge(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The newest revoked token of a live session stays, the older ones go."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user(status=UserStatus.ACTIVE).id
    async with agentdb_database.begin(tenant=tenant) as uow:
        first = new_token("0", at=OLD)
        session, _ = await issue_session(uow, user, ["chat"], first, now=OLD)
        for number in range(4):
            token = new_token(f"{number + 1}", at=OLD, lasts=2 * YEAR)
            await rotate(uow, f"{number}", token, now=OLD + number * timedelta(hours=1))
    dry = await purge_tokens(agentdb_database, dry_run=True, batch=2)

    assert dry == await purge_tokens(agentdb_database, batch=2)
    assert dry == Report({"deleted": 3}, done=True)
    assert await left(agentdb_database) == ({session.id}, {"3", "4"})
    async with agentdb_database.begin(tenant=tenant) as uow:
        assert (await rotate(uow, "3", new_token("x"))).outcome == "reused"
    # The session has ended now: so nothing has to show any more.
    assert (await purge_tokens(agentdb_database)).counts == {"deleted": 1}


async def test_used_recovery_codes_are_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Unused ones stay, however old they are."""
    for used_at in (OLD, NOW, None):
        agentdb_make.user_recovery_code(used_at=used_at, created_at=OLD)
    dry = await purge_recovery_codes(agentdb_database, dry_run=True)

    assert dry == await purge_recovery_codes(agentdb_database) == Report({"deleted": 1}, done=True)
    assert await purge_recovery_codes(agentdb_database) == Report({"deleted": 0}, done=True)
    async with agentdb_database.read(reason="test") as uow:
        assert {row.used_at for row in await uow.user_recovery_codes.all()} == {NOW, None}


async def test_a_tenants_purge_is_about_its_own(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Sessions and tokens of the tenant, and codes of its members."""
    own, other = agentdb_make.tenant, agentdb_make.tenant_account()
    for tenant in (own, other):
        user = agentdb_make.user(tenant=tenant)
        agentdb_make.user_session(user=user, tenant=tenant, revoked_at=OLD)
        agentdb_make.service_account_token(tenant_id=tenant.id, expires_at=OLD)
        agentdb_make.user_recovery_code(user=user, tenant=tenant, used_at=OLD)

    for verb in (purge_sessions, purge_tokens, purge_recovery_codes):
        dry = await verb(agentdb_database, tenant_id=own.id, dry_run=True)
        assert dry == await verb(agentdb_database, tenant_id=own.id)
        assert dry == Report({"deleted": 1}, done=True)
        assert (await verb(agentdb_database, dry_run=True)).counts == {"deleted": 1}


async def test_batches_cover_all_kinds_of_sessions(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Revoked, idle and never seen ones share the batches; what is left is told."""
    for number in range(3):
        agentdb_make.user_session(revoked_at=OLD)
        idle_session(agentdb_make)
        agentdb_make.user_session(created_at=OLD - number * DAY, last_seen_at=None)
    dry = await purge_sessions(agentdb_database, batch=2, max_batches=3, dry_run=True)

    assert dry == await purge_sessions(agentdb_database, batch=2, max_batches=3)
    assert not dry.done
    rest = await purge_sessions(agentdb_database, batch=2)
    assert dry.counts["deleted"] + rest.counts["deleted"] == 9


@pytest.mark.agentdb_commits
async def test_sweeps_of_credentials_start_from_a_url_alone(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """No database object is needed."""
    agentdb_make.user_session(revoked_at=OLD)
    agentdb_make.service_account_token(expires_at=OLD)
    agentdb_make.user_recovery_code(used_at=OLD)

    for verb in (purge_sessions, purge_tokens, purge_recovery_codes):
        assert (await verb(agentdb_url)).counts == {"deleted": 1}


@pytest.mark.agentdb_commits
async def test_concurrent_purges_of_tokens_share_the_rows(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each is counted by the one that deleted it; what one has locked, another skips."""
    with agentdb_make.transaction():
        for number in range(40):
            agentdb_make.service_account_token(account=f"a{number}", expires_at=OLD)

    async def call(_: int) -> Report:
        return await purge_tokens(agentdb_database, batch=3)

    outcomes = await run_concurrently(4, call, database=agentdb_database)
    rest = await purge_tokens(agentdb_database)

    assert outcomes.errors == []
    deleted = sum(report.counts["deleted"] for report in outcomes.results)
    assert deleted + rest.counts["deleted"] == 40


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_session_that_is_being_used_is_not_purged(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The purge skips it while the log-in is under way, and sees it used afterwards."""
    session = idle_session(agentdb_make)
    async with agentdb_database.begin(tenant=agentdb_make.tenant.id) as uow:
        assert await uow.user_sessions.touch(session.id, session.user_id)
        meanwhile = await purge_sessions(agentdb_database)

    assert meanwhile.counts == {"deleted": 0}
    assert (await purge_sessions(agentdb_database)).counts == {"deleted": 0}


async def changes_and_count(uow: UnitOfWork, sweep: Sweep[object]) -> None:
    """Run all statements of a sweep, at its beginning and further on."""
    for after in (None, (OLD, uuid4())):
        await sweep.change(uow, after, 10)
    await sweep.count(uow, None)


@pytest.mark.agentdb_plans
@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (RevokedSessions(None, DAY), "ix_user_sessions_revoked"),
        (IdleSessions(None, DAY), "ix_user_sessions_idle"),
        (UnseenSessions(None, DAY), "ix_user_sessions_idle"),
        (EndedTokens(None, DAY), "ix_service_account_tokens_expires"),
        (UsedCodes(None, DAY), "ix_user_recovery_codes_used"),
    ],
    ids=["revoked", "idle", "unseen", "tokens", "codes"],
)
async def test_a_purge_of_credentials_follows_its_index(
    agentdb_database: Database, sweep: Sweep[object], index: str
) -> None:
    """No batch sorts the table; the dry run reads no more."""
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, changes_and_count(uow, sweep))

    assert len(plans) == 3
    for plan in plans[:2]:
        plan.assert_uses_index(index)
        plan.assert_scans_nothing()
