from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.accounts import account_of
from agentdb.auth.credentials import RotationOutcome
from agentdb.auth.values import UserStatus
from agentdb.errors import DuplicateError, InvalidValueError
from agentdb.operations import issue_session, revoke_session, rotate
from agentdb.testing import Factory, Queries, run_concurrently
from agentdb.types import utc_now
from tests.auth.credentials import DAY, new_token
from tests.plans import plans_of

SECOND = timedelta(seconds=1)
NOW = utc_now()


def active_user(make: Factory) -> UUID:
    """Return the id of a user who may log in to the tenant of the test."""
    return make.user(status=UserStatus.ACTIVE).id


async def reasons(uow: UnitOfWork) -> dict[str, str | None]:
    """Return why each token was revoked, by its id."""
    rows = await uow.service_account_tokens.all()
    return {row.refresh_jti: row.revoked_reason for row in rows}


async def test_a_rotation_hands_on_what_the_token_was_for(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Account, scopes, session and device; the session moves on with it."""
    user = active_user(agentdb_make)
    first = new_token("first", at=NOW, fingerprint="device")
    session, old = await issue_session(agentdb_uow, user, ["b", "a"], first, now=NOW)
    outcome, new = await rotate(agentdb_uow, "first", new_token("second", at=NOW), now=NOW + SECOND)

    assert outcome is RotationOutcome.ROTATED
    assert new is not None
    assert (old.revoked_at, old.revoked_reason) == (NOW + SECOND, "rotated")
    assert (new.account, new.scopes, new.scope_key) == (account_of(user), ["a", "b"], "a b")
    assert (new.session_id, new.tenant_id) == (session.id, session.tenant_id)
    assert (new.fingerprint, new.issued_at) == ("device", NOW + SECOND)
    assert new.revoked_at is None
    assert (session.refresh_jti, session.last_seen_at) == ("second", NOW + SECOND)
    await rotate(agentdb_uow, "second", new_token("third", fingerprint="f" * 300))
    assert session.fingerprint is not None
    assert session.fingerprint.startswith("sha256:")


async def test_a_token_that_comes_again_ends_its_family(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The session and its tokens are revoked, with one security event; other sessions go on."""
    user = active_user(agentdb_make)
    session, _ = await issue_session(agentdb_uow, user, ["chat"], new_token("first"))
    await issue_session(agentdb_uow, user, ["chat"], new_token("other"))
    await rotate(agentdb_uow, "first", new_token("second"))
    await rotate(agentdb_uow, "second", new_token("third"))

    again = [await rotate(agentdb_uow, jti, new_token("x")) for jti in ("first", "second")]

    assert again == [(RotationOutcome.REUSED, None)] * 2
    assert await reasons(agentdb_uow) == {
        "first": "rotated",
        "second": "rotated",
        "third": "reuse_detected",
        "other": None,
    }
    assert session.revoked_reason == "reuse_detected"
    (event,) = await agentdb_uow.security_events.search(event_type="token_reuse")
    assert (event.user_id, event.tenant_id) == (user, session.tenant_id)
    assert event.metadata_json is not None
    assert event.metadata_json["session_id"] == str(session.id)
    assert (await rotate(agentdb_uow, "third", new_token("x"))).outcome == "revoked"


async def test_the_family_of_a_service_account_is_its_scopes(agentdb_uow: UnitOfWork) -> None:
    """A token of other scopes, or of another account, goes on."""
    repository = agentdb_uow.service_account_tokens
    for account, scope in (("importer", "a"), ("importer", "b"), ("other", "a")):
        await repository.issue(account, [scope], new_token(f"{account}-{scope}"))
    await rotate(agentdb_uow, "importer-a", new_token("second"))

    assert (await rotate(agentdb_uow, "importer-a", new_token("x"))).outcome == "reused"
    assert await reasons(agentdb_uow) == {
        "importer-a": "rotated",
        "second": "reuse_detected",
        "importer-b": None,
        "other-a": None,
    }
    (event,) = await agentdb_uow.security_events.search(event_type="token_reuse")
    assert event.user_id is None


async def test_a_reuse_by_somebody_who_has_left_is_detected(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The event names the account, but nobody who is no member."""
    tenant, user = agentdb_make.tenant.id, active_user(agentdb_make)
    async with agentdb_database.begin(tenant=tenant) as uow:
        await issue_session(uow, user, ["chat"], new_token("first"))
        await rotate(uow, "first", new_token("second"))
    async with agentdb_database.begin_system(reason="test") as uow:
        (membership,) = await uow.tenant_user_memberships.for_user(user)
        await uow.tenant_user_memberships.delete(membership.id)
    async with agentdb_database.begin(tenant=tenant) as uow:
        assert (await rotate(uow, "first", new_token("x"))).outcome == "reused"
        (event,) = await uow.security_events.search(event_type="token_reuse")

        assert event.user_id is None
        assert event.metadata_json is not None
        assert event.metadata_json["account"] == account_of(user)


async def test_within_the_grace_nothing_is_revoked(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By the clock of the database, to its last instant; after it the token is stolen."""
    user = active_user(agentdb_make)
    await issue_session(agentdb_uow, user, ["chat"], new_token("first"), now=NOW)
    await rotate(agentdb_uow, "first", new_token("second"), now=NOW)

    async def again(after: timedelta) -> RotationOutcome:
        token, grace = new_token("x"), 10 * SECOND
        rotation = await rotate(agentdb_uow, "first", token, reuse_grace=grace, now=NOW + after)
        assert rotation.token is None
        return rotation.outcome

    assert await again(0 * SECOND) == "superseded"
    assert await again(10 * SECOND) == "superseded"
    assert (await reasons(agentdb_uow))["second"] is None
    assert await again(10 * SECOND + timedelta(microseconds=1)) == "reused"
    with pytest.raises(InvalidValueError):
        await rotate(agentdb_uow, "first", new_token("x"), reuse_grace=-SECOND)


async def test_a_token_expires_at_its_instant(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Before it the token is rotated, from then on it is not; nothing is written."""
    user = active_user(agentdb_make)
    await issue_session(agentdb_uow, user, ["chat"], new_token("first", at=NOW), now=NOW)

    late = await rotate(agentdb_uow, "first", new_token("x"), now=NOW + DAY)
    assert late == (RotationOutcome.EXPIRED, None)
    assert await reasons(agentdb_uow) == {"first": None}
    in_time = NOW + DAY - timedelta(microseconds=1)
    assert (await rotate(agentdb_uow, "first", new_token("x"), now=in_time)).outcome == "rotated"


async def test_the_database_decides_what_has_expired(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Without another clock it is the one of the database."""
    user = active_user(agentdb_make)
    await issue_session(agentdb_uow, user, ["chat"], new_token("late", lasts=-SECOND))
    await issue_session(agentdb_uow, user, ["chat"], new_token("in time"))

    assert (await rotate(agentdb_uow, "late", new_token("x"))).outcome == "expired"
    assert (await rotate(agentdb_uow, "in time", new_token("x"))).outcome == "rotated"


async def test_what_was_revoked_otherwise_is_no_theft(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """After a log-out the last token is ``revoked``, expired or not."""
    user = active_user(agentdb_make)
    session, _ = await issue_session(agentdb_uow, user, ["chat"], new_token("first"))
    await revoke_session(agentdb_uow, session.id, user)

    for after in (0 * DAY, 2 * DAY):
        found = await rotate(agentdb_uow, "first", new_token("x"), now=utc_now() + after)
        assert found == (RotationOutcome.REVOKED, None)
    assert await agentdb_uow.security_events.count() == 0


async def test_the_token_of_a_revoked_session_is_revoked(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Even if whoever revoked the session forgot the token."""
    session = agentdb_make.user_session(revoked_at=NOW)
    agentdb_make.service_account_token(
        refresh_jti="first", session=session, expires_at=utc_now() + DAY
    )

    assert (await rotate(agentdb_uow, "first", new_token("x"))).outcome == "revoked"
    assert await reasons(agentdb_uow) == {"first": None}


async def test_unknown_and_foreign_tokens_are_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Another tenant's token, and one across tenants, stay as they are."""
    own, other = agentdb_make.tenant.id, agentdb_make.tenant_account().id
    async with agentdb_database.begin_system(reason="test") as uow:
        issue = uow.service_account_tokens.issue
        await issue("importer", ["a"], new_token("foreign"), tenant_id=other)
        await issue("importer", ["a"], new_token("global"))
    async with agentdb_database.begin(tenant=own) as uow:
        found = {await rotate(uow, jti, new_token("x")) for jti in ("foreign", "global", "none")}

    assert found == {(RotationOutcome.UNKNOWN, None)}
    async with agentdb_database.begin_system(reason="test") as uow:
        assert await reasons(uow) == {"foreign": None, "global": None}
        assert (await rotate(uow, "global", new_token("second"))).outcome == "rotated"
        named = await rotate(uow, "foreign", new_token("x"), tenant_id=own)
        assert named.outcome == "unknown"


async def test_a_refused_successor_leaves_the_token(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """As the unit has loaded it, too; and the unit goes on."""
    user = active_user(agentdb_make)
    session, token = await issue_session(agentdb_uow, user, ["chat"], new_token("first"))
    await issue_session(agentdb_uow, user, ["chat"], new_token("taken"))

    with pytest.raises(DuplicateError):
        await rotate(agentdb_uow, "first", new_token("taken"))
    assert (token.revoked_at, session.refresh_jti) == (None, "first")
    assert (await rotate(agentdb_uow, "first", new_token("second"))).outcome == "rotated"


@pytest.mark.agentdb_commits
async def test_of_64_callers_with_one_token_one_rotates(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The other 63 are a reuse: the family is revoked, and that is committed, with one event."""
    tenant, user = agentdb_make.tenant.id, active_user(agentdb_make)
    async with agentdb_database.begin(tenant=tenant) as uow:
        session, _ = await issue_session(uow, user, ["chat"], new_token("first"))

    async def present(number: int) -> RotationOutcome:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return (await rotate(uow, "first", new_token(f"next-{number}"))).outcome

    outcomes = await run_concurrently(64, present, database=agentdb_database)

    assert Counter(outcomes) == {RotationOutcome.ROTATED: 1, RotationOutcome.REUSED: 63}
    async with agentdb_database.read(tenant=tenant) as uow:
        found = await reasons(uow)
        ended = await uow.user_sessions.require(session.id)
        events = await uow.security_events.count()
    assert sorted(map(str, found.values())) == ["reuse_detected", "rotated"]
    assert ended.revoked_reason == "reuse_detected"
    assert events == 1


@pytest.mark.agentdb_commits
async def test_of_64_callers_within_the_grace_one_rotates(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others are superseded: a client that asks twice stays logged in."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.service_account_tokens.issue("importer", ["a"], new_token("first"))

    async def present(number: int) -> RotationOutcome:
        async with agentdb_database.begin(tenant=tenant) as uow:
            token = new_token(f"next-{number}")
            return (await rotate(uow, "first", token, reuse_grace=DAY)).outcome

    outcomes = await run_concurrently(64, present, database=agentdb_database)

    assert Counter(outcomes) == {RotationOutcome.ROTATED: 1, RotationOutcome.SUPERSEDED: 63}
    async with agentdb_database.read(tenant=tenant) as uow:
        assert sorted(map(str, (await reasons(uow)).values())) == ["None", "rotated"]


async def test_the_statements_of_a_rotation(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Lock, revoke, insert, move on; a token that is refused costs one more look."""
    user = active_user(agentdb_make)
    await issue_session(agentdb_uow, user, ["chat"], new_token("first"))
    agentdb_uow.session.expunge_all()

    with agentdb_queries(max=4):
        assert (await rotate(agentdb_uow, "first", new_token("second"))).outcome == "rotated"
    agentdb_uow.session.expunge_all()
    with agentdb_queries(max=3):
        await rotate(agentdb_uow, "first", new_token("x"), reuse_grace=DAY)
    with agentdb_queries(max=13):
        assert (await rotate(agentdb_uow, "first", new_token("x"))).outcome == "reused"


@pytest.mark.agentdb_plans
async def test_a_rotation_follows_its_keys(agentdb_database: Database) -> None:
    """No statement of it reads a table from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, rotate(uow, "first", new_token("second")))

    assert len(plans) == 3
    for plan in plans:
        plan.assert_scans_nothing()
