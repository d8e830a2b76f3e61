from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import NotFoundError, ValueTooLongError
from agentdb.models import User
from agentdb.testing import Factory, Queries, run_concurrently
from tests.plans import plans_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def user(agentdb_make: Factory) -> UUID:
    """A member of the tenant."""
    return agentdb_make.tenant_user_membership().user_id


async def test_the_first_agreement_stands(agentdb_uow: UnitOfWork, user: UUID) -> None:
    """A repeated one changes nothing; another version is another row."""
    accept = agentdb_uow.user_consents.accept
    first, created = await accept(user, "terms", "1", ip_hash="a", user_agent_hash="b", now=NOON)
    again, repeated = await accept(user, "terms", "1", ip_hash="x", now=NOON + timedelta(1))
    _, other = await accept(user, "terms", "2")

    assert (created, repeated, other) == (True, False, True)
    assert again is first
    assert (first.accepted_at, first.created_at) == (NOON, NOON)
    assert (first.ip_hash, first.user_agent_hash) == ("a", "b")


async def test_the_latest_agreement_is_the_last_one_accepted(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, user: UUID
) -> None:
    """Whatever the versions are called; of this user and this policy alone."""
    stranger = agentdb_make.tenant_user_membership().user_id
    accept = agentdb_uow.user_consents.accept
    for version, day in (("b", 1), ("a", 2), ("c", 0)):
        await accept(user, "terms", version, now=NOON + timedelta(days=day))
    await accept(user, "privacy", "z", now=NOON + timedelta(days=9))
    await accept(stranger, "terms", "z", now=NOON + timedelta(days=9))
    latest = await agentdb_uow.user_consents.latest(user, "terms")

    assert latest is not None
    assert latest.version == "a"
    assert await agentdb_uow.user_consents.latest(user, "cookies") is None


async def test_who_is_no_member_agrees_to_nothing(
    agentdb_database: Database, agentdb_uow: UnitOfWork, user: UUID
) -> None:
    """In a tenant's unit; in a system unit, who does not exist."""
    async with agentdb_database.begin_system(reason="test") as uow:
        stranger = await uow.users.add(User(email=f"{uuid4().hex}@example.com", password_hash="x"))
        with pytest.raises(NotFoundError):
            await uow.user_consents.accept(uuid4(), "terms", "1")
    with pytest.raises(NotFoundError):
        await agentdb_uow.user_consents.accept(stranger.id, "terms", "1")
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.user_consents.accept(user, "x" * 65, "1")

    assert await agentdb_uow.user_consents.count() == 0


@pytest.mark.agentdb_plans
async def test_the_latest_agreement_is_read_by_an_index(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries, user: UUID
) -> None:
    """In one statement, which reads no table in full."""
    with agentdb_queries(max=1):
        await agentdb_uow.user_consents.latest(user, "terms")
    (plan,) = await plans_of(agentdb_uow, agentdb_uow.user_consents.latest(user, "terms"))

    plan.assert_uses_index("ix_user_consents_user_policy")


@pytest.mark.agentdb_commits
async def test_eight_agreements_leave_the_first(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All callers get its row, one of them as new."""
    user = agentdb_make.tenant_user_membership()

    async def call(number: int) -> tuple[UUID, bool, str | None]:
        async with agentdb_database.begin(tenant=user.tenant_id) as uow:
            row, created = await uow.user_consents.accept(
                user.user_id, "terms", "1", ip_hash=str(number)
            )
            return row.id, created, row.ip_hash

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len({(key, seen) for key, _, seen in outcomes.results}) == 1
    assert [created for _, created, _ in outcomes.results].count(True) == 1
    async with agentdb_database.read(tenant=user.tenant_id) as uow:
        assert await uow.user_consents.count() == 1
