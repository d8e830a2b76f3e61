from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    ValueTooLongError,
)
from agentdb.testing import Factory, Queries, run_concurrently
from agentdb.types import utc_now
from tests.plans import plans_of

MINUTE = timedelta(minutes=1)
NOW = utc_now()


async def test_a_session_begins_with_its_token_and_its_device(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """All stamps are the instant of the log-in."""
    user = agentdb_make.user()
    session = await agentdb_uow.user_sessions.open(
        user.id, "first", fingerprint="device", now=NOW, client_browser="Lynx", ip_encrypted=b"ip"
    )

    assert (session.tenant_id, session.user_id) == (agentdb_make.tenant.id, user.id)
    assert (session.refresh_jti, session.fingerprint) == ("first", "device")
    assert (session.client_browser, session.ip_encrypted) == ("Lynx", b"ip")
    assert {session.created_at, session.updated_at, session.last_seen_at} == {NOW}
    assert session.revoked_at is None


async def test_a_live_session_goes_on_with_the_next_token(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """What is not given stays, and so does the time it was made; it is never seen earlier."""
    user, repository = agentdb_make.user(), agentdb_uow.user_sessions
    made = await repository.open(user.id, "first", fingerprint="a", client_browser="Lynx", now=NOW)
    again = await repository.open(
        user.id, "second", id=made.id, client_device="phone", now=NOW - MINUTE
    )

    assert again is made
    assert (made.refresh_jti, made.fingerprint) == ("second", "a")
    assert (made.client_browser, made.client_device) == ("Lynx", "phone")
    assert (made.created_at, made.last_seen_at) == (NOW, NOW)
    assert (await repository.open(user.id, "third", id=made.id, now=NOW + MINUTE)) is made
    assert made.last_seen_at == NOW + MINUTE


async def test_the_session_of_another_user_is_not_taken_over(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Nothing tells it from a session that does not exist, and it stays as it is."""
    ada, eve = agentdb_make.user(), agentdb_make.user()
    session = await agentdb_uow.user_sessions.open(ada.id, "first")

    with pytest.raises(NotFoundError, match="no such row of user_sessions"):
        await agentdb_uow.user_sessions.open(eve.id, "second", id=session.id)
    found = await agentdb_uow.user_sessions.require(session.id)
    assert (found.user_id, found.refresh_jti) == (ada.id, "first")


async def test_a_revoked_session_is_not_revived(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Whoever holds its id logs in anew."""
    session = agentdb_make.user_session(revoked_at=NOW)

    with pytest.raises(InvalidTransitionError):
        await agentdb_uow.user_sessions.open(session.user_id, "second", id=session.id)
    assert (await agentdb_uow.user_sessions.require(session.id)).revoked_at == NOW


async def test_no_session_without_a_user_or_with_a_taken_token(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The refusal undoes nothing else, and the unit goes on."""
    user, repository = agentdb_make.user(), agentdb_uow.user_sessions
    await repository.open(user.id, "first")

    with pytest.raises(DuplicateError):
        await repository.open(user.id, "first")
    with pytest.raises(NotFoundError):
        await repository.open(uuid4(), "second")
    assert len(await repository.for_user(user.id)) == 1


@pytest.mark.agentdb_commits
async def test_eight_log_ins_with_one_id_leave_one_session(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed; the session has the token of one of them."""
    tenant, user, key = agentdb_make.tenant.id, agentdb_make.user().id, uuid4()

    async def open_session(number: int) -> UUID:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return (await uow.user_sessions.open(user, f"token-{number}", id=key)).id

    outcomes = await run_concurrently(8, open_session, database=agentdb_database)

    assert outcomes == [key] * 8
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.user_sessions.count() == 1


@pytest.mark.parametrize("length", [1, 128, 129, 300])
async def test_a_device_is_known_by_a_fingerprint_of_any_length(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, length: int
) -> None:
    """Long ones are stored as a digest, and found by what they were."""
    user, fingerprint = agentdb_make.user(), "é" * length
    session = await agentdb_uow.user_sessions.open(user.id, "first", fingerprint=fingerprint)
    stored = session.fingerprint

    assert stored is not None
    assert (stored == fingerprint) == (length <= 128)
    assert len(stored) == (length if length <= 128 else len("sha256:") + 64)
    assert await agentdb_uow.user_sessions.has_device(user.id, fingerprint)
    assert not await agentdb_uow.user_sessions.has_device(user.id, f"{fingerprint}x")


async def test_a_known_device_is_that_of_the_user(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A revoked session counts, one of somebody else does not."""
    session = agentdb_make.user_session(fingerprint="device", revoked_at=NOW)
    other = agentdb_make.user()

    assert await agentdb_uow.user_sessions.has_device(session.user_id, "device")
    assert not await agentdb_uow.user_sessions.has_device(other.id, "device")


async def test_clients_do_not_break_a_log_in(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A user agent is cut to its column; what the host computes is not."""
    user, repository = agentdb_make.user(), agentdb_uow.user_sessions
    session = await repository.open(user.id, "first", user_agent="u" * 600)

    assert session.user_agent == "u" * 512
    with pytest.raises(ValueTooLongError):
        await repository.open(user.id, "second", ip_hash="h" * 129)
    for fingerprint in ("a\x00", "a" * 200 + "\x00", "a" * 200 + "\ud800"):
        with pytest.raises(InvalidValueError):
            await repository.open(user.id, "second", fingerprint=fingerprint)
        with pytest.raises(InvalidValueError):
            await repository.has_device(user.id, fingerprint)


async def test_sessions_are_listed_last_seen_first(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Those seen at one instant by when they were made; never seen ones last; revoked on demand."""
    user = agentdb_make.user()
    made = [
        agentdb_make.user_session(user=user, last_seen_at=seen, created_at=at, revoked_at=gone)
        for seen, at, gone in [
            (None, NOW, None),
            (NOW - MINUTE, NOW - MINUTE, None),
            (NOW, NOW - 2 * MINUTE, None),
            (NOW, NOW - MINUTE, None),
            (NOW + MINUTE, NOW, NOW),
        ]
    ]
    agentdb_make.user_session(user=agentdb_make.user())

    async def walk(*, include_revoked: bool) -> list[UUID]:
        found: list[UUID] = []
        cursor: str | None = None
        while True:
            page = await agentdb_uow.user_sessions.for_user(
                user.id, include_revoked=include_revoked, after=cursor, limit=2
            )
            found += [row.id for row in page]
            cursor = page.next_cursor
            if cursor is None:
                return found

    order = [made[n].id for n in (4, 3, 2, 1, 0)]
    assert await walk(include_revoked=True) == order
    assert await walk(include_revoked=False) == order[1:]


async def test_a_session_is_never_seen_earlier(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A late note changes nothing; nor does one about a revoked or somebody else's session."""
    user, repository = agentdb_make.user(), agentdb_uow.user_sessions
    session = await repository.open(user.id, "first", now=NOW)

    assert not await repository.touch(session.id, user.id, now=NOW - MINUTE)
    assert not await repository.touch(session.id, user.id, now=NOW)
    assert not await repository.touch(session.id, uuid4(), now=NOW + MINUTE)
    assert await repository.touch(session.id, user.id, now=NOW + MINUTE)
    assert session.last_seen_at == NOW + MINUTE
    await repository.update(session.id, revoked_at=NOW)
    assert not await repository.touch(session.id, user.id, now=NOW + 2 * MINUTE)


async def test_a_log_in_is_one_statement_behind_its_check(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """One SELECT for the user and the tenant each, and the upsert."""
    user = agentdb_make.user()

    with agentdb_queries(max=2):
        await agentdb_uow.user_sessions.open(user.id, "first")


@pytest.mark.agentdb_plans
async def test_look_ups_of_sessions_follow_an_index(agentdb_database: Database) -> None:
    """Neither a page of a user nor the look for a device reads the table from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        known = await plans_of(uow, uow.user_sessions.has_device(uuid4(), "device"))
        pages = await plans_of(uow, uow.user_sessions.for_user(uuid4(), include_revoked=True))

    for plan in known + pages:
        plan.assert_scans_nothing()
    known[0].assert_uses_index("ix_user_sessions_fingerprint")
    pages[0].assert_uses_index("ix_user_sessions_user_last_seen")
