from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.billing.rows import CatalogueDiff, NewFeature, NewPlan
from agentdb.errors import InvalidValueError, PermissionDeniedError, ReferencedError
from agentdb.models import BillingPlan, PlanFeature
from agentdb.testing import Factory, limit_statements, run_concurrently

MESSAGES = NewFeature(feature_key="messages", soft_limit=80, hard_limit=100, is_metered=True)
TOKENS = NewFeature(feature_key="input_tokens")
FREE = NewPlan(code="free", name="Free", price_cents=0, features=(MESSAGES, TOKENS))
PRO = NewPlan(code="pro", name="Pro", price_cents=2900, trial_days=14, features=[MESSAGES])


async def catalogue(database: Database) -> dict[str, tuple[int, bool, list[str]]]:
    """Return price, state and features of every plan."""
    async with database.read(reason="test") as uow:
        features = await uow.plan_features.all(order=[PlanFeature.feature_key])
        return {
            plan.code: (
                plan.price_cents,
                plan.is_active,
                [row.feature_key for row in features if row.plan_id == plan.id],
            )
            for plan in await uow.billing_plans.all()
        }


async def sync(database: Database, plans: list[NewPlan], **options: Any) -> CatalogueDiff:
    """Synchronise in a unit of its own."""
    async with database.begin_system(reason="test") as uow:
        return await uow.billing_plans.sync_catalogue(plans, **options)


async def test_a_catalogue_becomes_what_is_declared(agentdb_database: Database) -> None:
    """Plans by code, features by key; a second time there is nothing to do."""
    first = await sync(agentdb_database, [PRO, FREE])
    again = await sync(agentdb_database, [FREE, PRO])
    dearer = replace(PRO, price_cents=3900, features=[TOKENS, replace(MESSAGES, hard_limit=None)])
    second = await sync(agentdb_database, [dearer])

    assert first == CatalogueDiff(
        created=("free", "pro"),
        features_created=(
            ("free", "input_tokens"),
            ("free", "messages"),
            ("pro", "messages"),
        ),
    )
    assert not again
    assert second == CatalogueDiff(
        updated=("pro",),
        features_created=(("pro", "input_tokens"),),
        features_updated=(("pro", "messages"),),
    )
    assert not await sync(agentdb_database, [dearer])
    assert await catalogue(agentdb_database) == {
        "free": (0, True, ["input_tokens", "messages"]),
        "pro": (3900, True, ["input_tokens", "messages"]),
    }


async def test_what_is_missing_stays_unless_it_is_told_to_go(agentdb_database: Database) -> None:
    """Plans are deactivated, features of listed plans deleted; a listed plan is active again."""
    await sync(agentdb_database, [FREE, PRO])
    lean = replace(PRO, features=())
    kept = await sync(agentdb_database, [lean])
    pruned = await sync(agentdb_database, [lean], deactivate_missing=True, prune_features=True)
    again = await sync(agentdb_database, [lean], deactivate_missing=True, prune_features=True)

    assert not kept
    assert pruned == CatalogueDiff(deactivated=("free",), features_removed=(("pro", "messages"),))
    assert not again
    assert await catalogue(agentdb_database) == {
        "free": (0, False, ["input_tokens", "messages"]),
        "pro": (2900, True, []),
    }
    assert (await sync(agentdb_database, [FREE])).updated == ("free",)


async def test_a_dry_run_tells_what_a_run_then_does(agentdb_database: Database) -> None:
    """And changes nothing."""
    await sync(agentdb_database, [FREE, PRO])
    before = await catalogue(agentdb_database)
    wanted = [replace(FREE, name="Zero", features=()), replace(PRO, code="team")]
    options = {"deactivate_missing": True, "prune_features": True}
    told = await sync(agentdb_database, wanted, dry_run=True, **options)

    assert before == await catalogue(agentdb_database)
    assert told
    assert told == await sync(agentdb_database, wanted, **options)


async def test_a_loaded_plan_shows_what_was_synchronised(agentdb_database: Database) -> None:
    """Its columns and its features, in the unit that did it."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.billing_plans.sync_catalogue([PRO])
        (plan,) = await uow.billing_plans.active()
        before = plan.updated_at
        changed = replace(PRO, name=" Pro  plus ", features=[TOKENS])
        await uow.billing_plans.sync_catalogue([changed], prune_features=True)

        assert (plan.name, [feature.feature_key for feature in plan.features]) == (
            "Pro plus",
            ["input_tokens"],
        )
        assert plan.updated_at > before


REFUSED = {
    "code twice": [FREE, replace(PRO, code="free")],
    "feature twice": [replace(FREE, features=(MESSAGES, MESSAGES))],
    "currency": [replace(FREE, currency="usd")],
    "short currency": [replace(FREE, currency="US")],
    "price": [replace(FREE, price_cents=-1)],
    "trial": [replace(FREE, trial_days=-1)],
    "interval": [replace(FREE, interval="weekly")],
    "interval count": [replace(FREE, interval_count=0)],
    "name": [replace(FREE, name=" ")],
    "long code": [replace(FREE, code="x" * 65)],
    "limit": [replace(FREE, features=[replace(MESSAGES, soft_limit=-1)])],
    "soft above hard": [replace(FREE, features=[replace(MESSAGES, soft_limit=101)])],
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_wrong_catalogue_is_refused_as_a_whole(
    agentdb_database: Database, name: str
) -> None:
    """Before anything is sent; the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with limit_statements(uow, max=0), pytest.raises(InvalidValueError):
            await uow.billing_plans.sync_catalogue([PRO, *REFUSED[name]])
        assert await uow.billing_plans.count() == 0


async def test_a_tenant_does_not_write_the_catalogue(agentdb_uow: UnitOfWork) -> None:
    """Not even to see what would change; nor features."""
    for dry_run in (True, False):
        with pytest.raises(PermissionDeniedError):
            await agentdb_uow.billing_plans.sync_catalogue([FREE], dry_run=dry_run)
    with pytest.raises(PermissionDeniedError):
        await agentdb_uow.plan_features.put(uuid4(), "messages")


async def test_the_active_plans_come_by_price_with_their_features(
    agentdb_database: Database,
) -> None:
    """In two statements."""
    plans = [PRO, FREE, replace(FREE, code="basic"), replace(PRO, code="old", is_active=False)]
    await sync(agentdb_database, plans)
    async with agentdb_database.read(reason="test") as uow:
        with limit_statements(uow, max=2):
            active = await uow.billing_plans.active()

        assert [plan.code for plan in active] == ["basic", "free", "pro"]
        keys = [[feature.feature_key for feature in plan.features] for plan in active]
        assert keys == [["input_tokens", "messages"]] * 2 + [["messages"]]


async def test_a_used_plan_is_not_deleted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """One that nobody has subscribed to goes with its features."""
    used = agentdb_make.tenant_subscription().plan_id
    await sync(agentdb_database, [FREE])
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(ReferencedError):
            await uow.billing_plans.delete(used)
        free = await uow.billing_plans.by_code("free")
        assert free is not None
        assert await uow.billing_plans.delete(free.id)
        assert await uow.billing_plans.get(used) is not None
        assert await uow.plan_features.count() == 0


@pytest.mark.agentdb_commits
async def test_eight_concurrent_synchronisations_leave_one_catalogue(
    agentdb_database: Database,
) -> None:
    """Each plan and each feature is new to one of them."""

    async def call(number: int) -> CatalogueDiff:
        plans = [FREE, PRO] if number % 2 else [PRO, FREE]
        return await sync(agentdb_database, plans)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert sorted(code for diff in outcomes.results for code in diff.created) == ["free", "pro"]
    assert sum(len(diff.features_created) for diff in outcomes.results) == 3
    assert not any(diff.updated or diff.features_updated for diff in outcomes.results)
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.billing_plans.count(BillingPlan.code.in_(["free", "pro"])) == 2
        assert await uow.plan_features.count() == 3
