from __future__ import annotations

from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork, token_digest
from agentdb.errors import InvalidValueError, NotFoundError, ValueTooLongError
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.plans import plans_of

NOW = utc_now()
CODES = [token_digest(f"code {number}") for number in range(3)]


async def test_a_new_set_takes_the_place_of_the_old(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Used and unused ones are gone; a code that is given twice counts once."""
    user, codes = agentdb_make.user(), agentdb_uow.user_recovery_codes
    assert await codes.replace(user.id, ["old", "older"]) == 2
    assert await codes.consume(user.id, "old")

    assert await codes.replace(user.id, [*CODES, CODES[0]], now=NOW) == 3
    assert await codes.count_left(user.id) == 3
    assert not await codes.consume(user.id, "older")
    assert {row.created_at for row in await codes.all()} == {NOW}
    assert await codes.replace(user.id, []) == 0
    assert await codes.count_left(user.id) == 0


async def test_a_code_is_used_up(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Once, by its user; the others are left."""
    ada, eve, codes = agentdb_make.user(), agentdb_make.user(), agentdb_uow.user_recovery_codes
    await codes.replace(ada.id, CODES)

    assert not await codes.consume(eve.id, CODES[0])
    assert await codes.consume(ada.id, CODES[0], now=NOW)
    assert not await codes.consume(ada.id, CODES[0])
    assert not await codes.consume(ada.id, "unknown")
    assert not await codes.consume(uuid4(), CODES[1])
    assert await codes.count_left(ada.id) == 2
    assert [row.used_at for row in await codes.all() if row.used_at] == [NOW]


async def test_a_refused_set_leaves_the_old_one(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """All or nothing, and the unit goes on; a text is no list of digests."""
    user, codes = agentdb_make.user(), agentdb_uow.user_recovery_codes
    await codes.replace(user.id, CODES)

    with pytest.raises(ValueTooLongError):
        await codes.replace(user.id, ["new", "x" * 129])
    with pytest.raises(InvalidValueError):
        await codes.replace(user.id, "digest")
    with pytest.raises(NotFoundError):
        await codes.replace(uuid4(), ["new"])
    assert await codes.count_left(user.id) == 3


@pytest.mark.agentdb_commits
async def test_of_64_callers_with_one_code_one_gets_in(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The others learn nothing else than of a wrong code."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user().id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.user_recovery_codes.replace(user, CODES)

    async def consume(_: int) -> bool:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.user_recovery_codes.consume(user, CODES[0])

    outcomes = await run_concurrently(64, consume, database=agentdb_database)

    assert sorted(outcomes.results) == [False] * 63 + [True]
    async with agentdb_database.read(tenant=tenant) as uow:
        assert await uow.user_recovery_codes.count_left(user) == 2


@pytest.mark.agentdb_commits
async def test_of_eight_sets_at_once_one_is_left_whole(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """No two sets mix, whichever is the last."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user().id

    async def replace(number: int) -> int:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.user_recovery_codes.replace(user, [f"{number}-{n}" for n in range(3)])

    outcomes = await run_concurrently(8, replace, database=agentdb_database)

    assert outcomes == [3] * 8
    async with agentdb_database.read(tenant=tenant) as uow:
        left = sorted(row.code_hash for row in await uow.user_recovery_codes.all())
    assert left == [f"{left[0][0]}-{n}" for n in range(3)]


@pytest.mark.agentdb_plans
async def test_codes_are_looked_up_by_user(agentdb_database: Database) -> None:
    """No table is read from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        codes = uow.user_recovery_codes
        for call in (codes.consume(uuid4(), CODES[0]), codes.count_left(uuid4())):
            for plan in await plans_of(uow, call):
                plan.assert_scans_nothing()
