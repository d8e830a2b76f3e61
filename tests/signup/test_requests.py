from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)
from agentdb.signup.models import TenantSignupRequest
from agentdb.signup.values import TenantSignupRequestStatus
from agentdb.testing import Factory, FrozenClock, capture_statements, run_concurrently

APPROVED = TenantSignupRequestStatus.APPROVED
REJECTED = TenantSignupRequestStatus.REJECTED
PENDING = TenantSignupRequestStatus.PENDING


async def test_a_request_is_stored_in_canonical_form(agentdb_database: Database) -> None:
    """Address and names are trimmed, the user agent is cut, and it waits for a decision."""
    async with agentdb_database.begin_system(reason="test") as uow:
        row = await uow.tenant_signup_requests.submit(
            " Ada@Example.COM ",
            ip_address="192.0.2.1",
            full_name="  Ada   Lovelace ",
            organization="  ",
            user_agent="x" * 600,
            message="please",
            metadata_json={"source": "form"},
        )

        assert (row.email, row.full_name, row.organization) == (
            "ada@example.com",
            "Ada Lovelace",
            None,
        )
        assert (row.status, row.decided_at, len(row.user_agent or "")) == (PENDING, None, 512)
        assert (row.message, row.metadata_json) == ("please", {"source": "form"})


async def test_only_undecided_requests_of_the_address_count(agentdb_database: Database) -> None:
    """A decision makes room; other addresses, and none, are not limited by it."""
    async with agentdb_database.begin_system(reason="test") as uow:
        submit = uow.tenant_signup_requests.submit
        first = await submit("a@example.com", ip_address="192.0.2.1", max_pending_per_ip=1)
        with pytest.raises(QuotaExceededError):
            await submit("b@example.com", ip_address="192.0.2.1", max_pending_per_ip=1)
        await submit("b@example.com", ip_address="192.0.2.2", max_pending_per_ip=1)
        for _ in range(2):
            await submit("c@example.com", max_pending_per_ip=1)
        await uow.tenant_signup_requests.update(first.id, status=REJECTED)

        row = await submit("b@example.com", ip_address="192.0.2.1", max_pending_per_ip=1)

        assert row.status == PENDING
        assert await uow.tenant_signup_requests.count() == 5


async def test_a_filled_honeypot_is_rejected_and_never_counted(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """It is stored without an error, even where the address may submit nothing more."""
    async with agentdb_database.begin_system(reason="test") as uow:
        submit = uow.tenant_signup_requests.submit
        trapped = [
            await submit(
                "bot@example.com", ip_address="192.0.2.1", honeypot_value="x", max_pending_per_ip=1
            )
            for _ in range(2)
        ]
        await submit("ada@example.com", ip_address="192.0.2.1", max_pending_per_ip=1)
        trapped.append(
            await submit(
                "bot@example.com", ip_address="192.0.2.1", honeypot_value="x", max_pending_per_ip=1
            )
        )
        empty = await submit("bob@example.com", ip_address="192.0.2.2", honeypot_value="")

        assert {(row.status, row.decision_reason) for row in trapped} == {(REJECTED, "honeypot")}
        assert {row.decided_at for row in trapped} == {agentdb_freeze_now()}
        assert empty.status == PENDING


@pytest.mark.parametrize("limit", [0, -1, True, 2.0])
async def test_a_limit_is_a_number_of_requests(agentdb_database: Database, limit: int) -> None:
    """Nothing else limits, and nothing is stored."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with capture_statements(uow) as sent, pytest.raises(InvalidValueError):
            await uow.tenant_signup_requests.submit("a@example.com", max_pending_per_ip=limit)

        assert sent == []


async def test_a_refused_value_leaves_nothing(agentdb_database: Database) -> None:
    """No request is stored, and the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        submit = uow.tenant_signup_requests.submit
        for email, ip in (("none", "192.0.2.1"), ("a@b.c", "1" * 65), ("a@b.c", "\0")):
            with pytest.raises(InvalidValueError):
                await submit(email, ip_address=ip)

        assert await uow.tenant_signup_requests.count() == 0


@pytest.mark.agentdb_commits
async def test_eight_submissions_from_one_address_leave_three(agentdb_database: Database) -> None:
    """They come one after the other: three are stored, five are over the limit."""

    async def call(number: int) -> TenantSignupRequest:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.tenant_signup_requests.submit(
                f"{number}@example.com", ip_address="192.0.2.1"
            )

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(outcomes.results) == 3
    assert [type(error) for error in outcomes.errors] == [QuotaExceededError] * 5
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.tenant_signup_requests.count() == 3


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_addresses_do_not_wait_for_each_other(agentdb_database: Database) -> None:
    """A unit that has submitted holds up its own address alone, until it ends."""
    async with agentdb_database.begin_system(reason="test") as first:
        await first.tenant_signup_requests.submit("a@example.com", ip_address="192.0.2.1")
        async with agentdb_database.begin_system(reason="test") as second:
            await second.tenant_signup_requests.submit("b@example.com", ip_address="192.0.2.2")

    async with agentdb_database.read(reason="test") as uow:
        assert await uow.tenant_signup_requests.count() == 2


async def test_a_request_is_decided_once(
    agentdb_database: Database, agentdb_make: Factory, agentdb_freeze_now: FrozenClock
) -> None:
    """The first decision stays, with its time, its reason and who made it."""
    user = agentdb_make.user()
    request = agentdb_make.tenant_signup_request()
    async with agentdb_database.begin_system(reason="test") as uow:
        decide = uow.tenant_signup_requests.decide
        row = await decide(request.id, APPROVED, user.id, reason="ok", invite_token_hint="abcd")
        with pytest.raises(InvalidTransitionError):
            await decide(request.id, REJECTED, user.id)
        row = await uow.tenant_signup_requests.require(request.id)

        assert (row.status, row.decided_by, row.decided_at) == (
            APPROVED,
            user.id,
            agentdb_freeze_now(),
        )
        assert (row.decision_reason, row.invite_token_hint) == ("ok", "abcd")


async def test_what_is_no_decision_changes_nothing(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """To leave it pending, for a request or by a user that does not exist."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    async with agentdb_database.begin_system(reason="test") as uow:
        decide = uow.tenant_signup_requests.decide
        with pytest.raises(InvalidValueError):
            await decide(request.id, PENDING, user.id)
        with pytest.raises(NotFoundError):
            await decide(uuid4(), APPROVED, user.id)
        with pytest.raises(NotFoundError):
            await decide(request.id, APPROVED, uuid4())

        assert (await uow.tenant_signup_requests.require(request.id)).status == PENDING


async def test_requests_are_found_by_state_newest_first(
    agentdb_database: Database, agentdb_freeze_now: FrozenClock
) -> None:
    """The pages of a state hold each of its requests once, also with equal times."""
    async with agentdb_database.begin_system(reason="test") as uow:
        verbs = uow.tenant_signup_requests
        made = [await verbs.submit(f"{n}@example.com") for n in range(3)]
        agentdb_freeze_now.advance(timedelta(seconds=1))
        newest = await verbs.submit("new@example.com")
        trapped = await verbs.submit("bot@example.com", honeypot_value="x")
        found: list[TenantSignupRequest] = []
        page = await verbs.search(status=PENDING, limit=2)
        found += page.items
        while page.next_cursor is not None:
            page = await verbs.search(status=PENDING, limit=2, after=page.next_cursor)
            found += page.items

        assert found[0].id == newest.id
        assert sorted(row.id for row in found[1:]) == sorted(row.id for row in made)
        assert {row.id for row in (await verbs.search()).items} == {
            trapped.id,
            *(row.id for row in found),
        }


async def test_a_tenants_unit_has_no_part_in_it(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Requests are the system's."""
    user, request = agentdb_make.user(), agentdb_make.tenant_signup_request()
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.tenant_signup_requests.submit("a@example.com")
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.tenant_signup_requests.decide(request.id, APPROVED, user.id)
