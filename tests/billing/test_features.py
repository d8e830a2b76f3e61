from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.billing.rows import Limit
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.testing import Factory, limit_statements, run_concurrently


async def test_a_feature_is_given_and_changed(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """What a later call does not name stays as it is."""
    plan = agentdb_make.billing_plan().id
    async with agentdb_database.begin_system(reason="test") as uow:
        put = uow.plan_features.put
        first = await put(plan, "messages", soft_limit=80, display_name=" All  messages ")
        second = await put(plan, "messages", hard_limit=100)
        same = await put(plan, "messages")

        assert first is second is same
        assert (same.soft_limit, same.hard_limit, same.is_metered) == (80, 100, False)
        assert same.display_name == "All messages"
        assert (await put(plan, "messages", soft_limit=None)).soft_limit is None


@pytest.mark.parametrize(
    "fields", [{"soft_limit": 101}, {"hard_limit": 79}, {"hard_limit": -1}, {"display_name": "  "}]
)
async def test_limits_are_checked_with_what_is_stored(
    agentdb_database: Database, agentdb_make: Factory, fields: dict[str, Any]
) -> None:
    """The soft one is not above the hard one, whichever comes later; the row stays as it was."""
    plan = agentdb_make.billing_plan().id
    async with agentdb_database.begin_system(reason="test") as uow:
        row = await uow.plan_features.put(plan, "messages", soft_limit=80, hard_limit=100)
        with pytest.raises(InvalidValueError):
            await uow.plan_features.put(plan, "messages", **fields)

        assert (row.soft_limit, row.hard_limit) == (80, 100)
        with pytest.raises(NotFoundError):
            await uow.plan_features.put(uuid4(), "messages")


@pytest.mark.agentdb_commits
async def test_eight_concurrent_puts_leave_one_row_with_all_fields(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Each sets another column; the limits that meet are right together."""
    plan = agentdb_make.billing_plan().id
    fields: list[dict[str, Any]] = [{"soft_limit": 5}, {"hard_limit": 5}, {"is_metered": True}, {}]

    async def call(number: int) -> int:
        async with agentdb_database.begin_system(reason="test") as uow:
            return (await uow.plan_features.put(plan, "messages", **fields[number % 4])).id

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(set(outcomes.results)) == 1, outcomes.errors
    async with agentdb_database.read(reason="test") as uow:
        (row,) = await uow.plan_features.all()
        assert (row.soft_limit, row.hard_limit, row.is_metered) == (5, 5, True)


async def test_a_limit_is_that_of_the_current_plan(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """None where the plan lacks the feature; ended subscriptions do not count."""
    plan, old = agentdb_make.billing_plan(), agentdb_make.billing_plan()
    agentdb_make.tenant_subscription(plan_id=old.id, status="canceled")
    agentdb_make.tenant_subscription(plan_id=plan.id)
    agentdb_make.plan_feature(plan_id=old.id, feature_key="messages", hard_limit=1, soft_limit=1)
    agentdb_make.plan_feature(plan_id=old.id, feature_key="seats")
    agentdb_make.plan_feature(plan_id=plan.id, feature_key="messages", hard_limit=9, soft_limit=8)
    with limit_statements(agentdb_uow, max=1):
        limit = await agentdb_uow.plan_features.limit("messages")

    assert limit == Limit("messages", 8, 9, is_metered=False)
    assert await agentdb_uow.plan_features.limit("seats") is None


async def test_without_a_subscription_there_is_no_limit(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Another tenant's counts in a system unit that names it."""
    other = agentdb_make.tenant_account()
    plan = agentdb_make.tenant_subscription(tenant_id=other.id).plan_id
    agentdb_make.plan_feature(plan_id=plan, feature_key="messages", hard_limit=9, soft_limit=8)

    assert await agentdb_uow.plan_features.limit("messages") is None
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.plan_features.limit("messages", tenant_id=other.id) is not None
