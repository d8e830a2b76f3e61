from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import NotFoundError, TenantMismatchError, ValueTooLongError
from agentdb.models import TenantUserMembership
from agentdb.testing import Factory, Queries, run_concurrently
from tests.plans import plans_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALERTS = ("email", "alerts")
NEWS = ("email", "news")


@pytest.fixture
def member(agentdb_make: Factory) -> TenantUserMembership:
    """A member of the tenant."""
    return agentdb_make.tenant_user_membership()


async def test_a_choice_is_made_and_changed(
    agentdb_uow: UnitOfWork, member: TenantUserMembership
) -> None:
    """One row; when it was made stays."""
    put = agentdb_uow.user_notification_preferences.put
    made = await put(member.user_id, *ALERTS, True, member.tenant_id, now=NOON)
    later = NOON + timedelta(hours=1)
    changed = await put(member.user_id, *ALERTS, False, member.tenant_id, now=later)

    assert changed is made
    assert (changed.enabled, changed.created_at, changed.updated_at) == (False, NOON, later)
    assert await agentdb_uow.user_notification_preferences.count() == 1


async def test_a_choice_in_a_tenant_goes_before_one_that_holds_everywhere(
    agentdb_database: Database, member: TenantUserMembership, agentdb_make: Factory
) -> None:
    """In whatever order they were made; other tenants are not asked."""
    user, tenant = member.user_id, member.tenant_id
    other = agentdb_make.tenant_account().id
    async with agentdb_database.begin_system(reason="test") as uow:
        preferences = uow.user_notification_preferences
        await preferences.put(user, *ALERTS, False, tenant)
        await preferences.put(user, *ALERTS, True, None)
        await preferences.put(user, *ALERTS, True, None)
        await preferences.put(user, *NEWS, True, None)
        await preferences.put(user, *NEWS, False, other)

        assert await preferences.effective(user, tenant_id=tenant) == {ALERTS: False, NEWS: True}
        assert await preferences.effective(user, tenant_id=other) == {ALERTS: True, NEWS: False}
        assert await preferences.effective(user) == {ALERTS: True, NEWS: True}
    async with agentdb_database.begin(tenant=tenant) as uow:
        assert await uow.user_notification_preferences.effective(user) == {
            ALERTS: False,
            NEWS: True,
        }


async def test_a_tenant_makes_no_choice_that_holds_elsewhere(
    agentdb_uow: UnitOfWork, member: TenantUserMembership, agentdb_make: Factory
) -> None:
    """Nor one for a stranger, nor with a channel that does not fit; the unit goes on."""
    put = agentdb_uow.user_notification_preferences.put
    for tenant in (None, agentdb_make.tenant_account().id):
        with pytest.raises(TenantMismatchError):
            await put(member.user_id, *ALERTS, True, tenant)
    with pytest.raises(NotFoundError):
        await put(uuid4(), *ALERTS, True, member.tenant_id)
    with pytest.raises(ValueTooLongError):
        await put(member.user_id, "x" * 17, "alerts", True, member.tenant_id)

    assert await agentdb_uow.user_notification_preferences.effective(member.user_id) == {}


@pytest.mark.agentdb_plans
async def test_what_a_user_wants_is_read_in_one_statement(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries, member: TenantUserMembership
) -> None:
    """By an index, however many choices others have made."""
    preferences = agentdb_uow.user_notification_preferences
    with agentdb_queries(max=1):
        await preferences.effective(member.user_id)
    (plan,) = await plans_of(agentdb_uow, preferences.effective(member.user_id))

    plan.assert_scans_nothing()


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("everywhere", [False, True])
async def test_eight_choices_leave_one_row(
    agentdb_database: Database, member: TenantUserMembership, everywhere: bool
) -> None:
    """With a tenant and without one, where NULLs are distinct."""
    tenant = None if everywhere else member.tenant_id

    async def call(number: int) -> UUID:
        async with agentdb_database.begin_system(reason="test") as uow:
            row = await uow.user_notification_preferences.put(
                member.user_id, *ALERTS, number % 2 == 0, tenant
            )
            return row.id

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len(set(outcomes.results)) == 1
    async with agentdb_database.read(reason="test") as uow:
        assert await uow.user_notification_preferences.count() == 1
