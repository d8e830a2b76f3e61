from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from agentdb import Database
from agentdb.testing import Factory, run_concurrently
from tests.sizes import Size
from tests.status.targets import NOON, SECRETS, subscribed, wish

pytestmark = pytest.mark.agentdb_commits


@pytest.mark.parametrize("callers", [8, 64])
@pytest.mark.parametrize("owned", [True, False], ids=["of a tenant", "of the service"])
async def test_those_who_subscribe_one_target_at_once_make_one_row(
    agentdb_database: Database, agentdb_make: Factory, callers: int, *, owned: bool
) -> None:
    """All succeed, one finds it new, and the tokens of one of them are left."""
    tenant = agentdb_make.tenant.id if owned else None

    async def subscribe(number: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin_system(reason="test") as uow:
            values = wish(verification_token_hash=f"token-{number}", tenant_id=tenant)
            row, created = await uow.status_subscriptions.subscribe(**values)
            return row.id, created

    outcomes = await run_concurrently(callers, subscribe, database=agentdb_database)

    assert outcomes.errors == []
    assert Counter(created for _, created in outcomes.results) == {True: 1, False: callers - 1}
    async with agentdb_database.read(reason="test") as uow:
        (row,) = await uow.status_subscriptions.all()
    assert {key for key, _ in outcomes.results} == {row.id}
    assert row.verification_token_hash in {f"token-{n}" for n in range(callers)}


async def test_sixty_four_revocations_are_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """One caller ends it, with its reason; the others change nothing."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        key = (await subscribed(uow)).id

    async def revoke(number: int) -> bool:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.status_subscriptions.revoke(key, f"caller {number}")

    outcomes = await run_concurrently(64, revoke, database=agentdb_database)

    assert Counter(outcomes) == {True: 1, False: 63}
    async with agentdb_database.read(tenant=tenant) as uow:
        row = await uow.status_subscriptions.require(key)
    assert row.revoked_reason == f"caller {outcomes.index(True)}"


async def test_sixty_four_verifications_and_revocations_end_in_one_state(
    agentdb_database: Database, agentdb_make: Factory, size: Size
) -> None:
    """Revoked once and for good; who verified before was told so, who came after was refused."""
    tenant = agentdb_make.tenant.id
    for round_ in range(size(2, full=20)):
        async with agentdb_database.begin(tenant=tenant) as uow:
            key = (await subscribed(uow, target_hash=f"{round_}")).id

        async def call(number: int, key: UUID = key) -> object:
            async with agentdb_database.begin(tenant=tenant) as uow:
                if number % 4:
                    return (await uow.status_subscriptions.activate(key, now=NOON)).status
                return await uow.status_subscriptions.revoke(key, "test")

        outcomes = await run_concurrently(64, call, database=agentdb_database)

        assert sum(outcome is True for outcome in outcomes) == 1
        assert {type(error).__name__ for error in outcomes.errors} <= {"InvalidTransitionError"}
        assert {r for r in outcomes.results if isinstance(r, str)} <= {"active"}
        async with agentdb_database.read(tenant=tenant) as uow:
            row = await uow.status_subscriptions.require(key)
        assert row.status == "revoked"
        assert [getattr(row, name) for name in SECRETS] == [None] * 5


async def test_a_target_that_is_revoked_and_subscribes_at_once_keeps_one_wish(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whoever comes first, no tokens are put into the revoked row."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        key = (await subscribed(uow)).id

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            if number % 2:
                await uow.status_subscriptions.revoke(key, "test")
            else:
                await uow.status_subscriptions.subscribe(**wish(verification_token_hash="new"))

    outcomes = await run_concurrently(16, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        revoked, *live = sorted(
            await uow.status_subscriptions.all(), key=lambda row: row.status, reverse=True
        )
    assert (revoked.id, revoked.verification_token_hash) == (key, None)
    assert len(live) <= 1
