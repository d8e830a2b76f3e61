from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.testing import Factory
from tests.plans import plans_of

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_a_subscription_is_found_by_the_id_of_its_processor(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With its plan, ended ones too; of several the one that started last."""
    values: dict[str, Any] = {"processor": "stripe", "processor_subscription_id": "sub_1"}
    agentdb_make.tenant_subscription(status="canceled", starts_at=START, **values)
    last = agentdb_make.tenant_subscription(status="canceled", starts_at=START + DAY, **values)
    by_processor_id = agentdb_uow.tenant_subscriptions.by_processor_id
    found = await by_processor_id("stripe", "sub_1")

    assert found is not None
    assert (found.id, found.plan.id) == (last.id, last.plan_id)
    assert await by_processor_id("fixture", "sub_1") is None
    assert await by_processor_id("stripe", "sub_2") is None
    assert await by_processor_id("stripe", "x" * 129) is None


async def test_a_system_unit_finds_the_tenant_of_a_subscription(
    agentdb_database: Database, agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A webhook names no tenant; a tenant's own unit sees nothing of it."""
    other = agentdb_make.tenant_account()
    agentdb_make.tenant_subscription(
        tenant_id=other.id, processor="stripe", processor_subscription_id="sub_1"
    )
    async with agentdb_database.read(reason="test") as uow:
        by_processor_id = uow.tenant_subscriptions.by_processor_id
        found = await by_processor_id("stripe", "sub_1")
        own = agentdb_make.tenant.id

        assert found is not None
        assert found.tenant_id == other.id
        assert await by_processor_id("stripe", "sub_1", tenant_id=own) is None
    assert await agentdb_uow.tenant_subscriptions.by_processor_id("stripe", "sub_1") is None


async def test_the_current_subscription_is_edited(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """What is not given stays; the address takes its canonical form."""
    agentdb_make.tenant_subscription(seat_count=3)
    edit = agentdb_uow.tenant_subscriptions.edit
    first = await edit(billing_email=" Billing@Example.COM ", auto_renew=False)
    second = await edit(seat_count=None)

    assert first is second
    assert (first.billing_email, first.auto_renew) == ("billing@example.com", False)
    assert first.seat_count is None
    assert first.plan.id == first.plan_id


@pytest.mark.parametrize(
    "fields", [{"billing_email": "nobody"}, {"seat_count": -1}, {"auto_renew": None}, {"seats": 1}]
)
async def test_a_refused_edit_changes_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, fields: dict[str, Any]
) -> None:
    """And the unit goes on."""
    agentdb_make.tenant_subscription(seat_count=3, billing_email="a@example.com")
    given: dict[str, Any] = {"auto_renew": False, **fields}
    with pytest.raises(InvalidValueError):
        await agentdb_uow.tenant_subscriptions.edit(**given)

    current = await agentdb_uow.tenant_subscriptions.current()
    assert current is not None
    assert (current.seat_count, current.billing_email) == (3, "a@example.com")
    assert current.auto_renew


async def test_an_ended_subscription_is_not_edited(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """There is none to edit then."""
    agentdb_make.tenant_subscription(status="canceled")
    with pytest.raises(NotFoundError):
        await agentdb_uow.tenant_subscriptions.edit(auto_renew=False)


@pytest.mark.agentdb_plans
async def test_subscriptions_are_looked_up_by_index(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """By tenant, by the id of the processor; and so are the limits of the current plan."""
    (current,) = await plans_of(agentdb_uow, agentdb_uow.tenant_subscriptions.current())
    async with agentdb_database.read(reason="test") as uow:
        work = uow.tenant_subscriptions.by_processor_id("stripe", "sub_1")
        (found,) = await plans_of(uow, work)
    (limit,) = await plans_of(agentdb_uow, agentdb_uow.plan_features.limit("messages"))

    for plan in (current, found, limit):
        plan.assert_scans_nothing()
    current.assert_uses_index("ix_tenant_subscriptions_tenant_status")
    found.assert_uses_index("ix_tenant_subscriptions_processor")
    limit.assert_uses_index("uq_plan_features_plan_id_feature_key")
