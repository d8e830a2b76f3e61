"""The look-ups of users, members and attempts follow indexes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import LoginResult
from agentdb.models import TenantAccount
from agentdb.operations import delete_user, disable_user, record_login
from agentdb.testing import Factory
from tests.plans import plans_of

pytestmark = pytest.mark.agentdb_plans

Work: TypeAlias = Callable[[UnitOfWork, UUID, UUID], Awaitable[Any]]

LOOKUPS: dict[str, tuple[Work, set[str]]] = {
    "by_email": (lambda uow, _, __: uow.users.by_email("a@example.com"), {"uq_users_email"}),
    "sole owner": (
        lambda uow, user, _: uow.users.sole_owner_tenants(user),
        {"ix_tenant_user_memberships_tenant_role"},
    ),
    "recent": (
        lambda uow, user, _: uow.password_history.recent(user),
        {"ix_password_history_user_created"},
    ),
    "trim": (
        lambda uow, user, _: uow.password_history.trim(user, 5),
        {"ix_password_history_user_created"},
    ),
    "failures": (
        lambda uow, user, _: uow.user_login_events.failures_since_success(
            user, timedelta(minutes=15)
        ),
        {"ix_user_login_events_user_created"},
    ),
    "log-in": (
        lambda uow, user, _: record_login(uow, user, LoginResult.SUCCESS),
        {"ix_user_login_events_user_created"},
    ),
    "members": (
        lambda uow, _, tenant: uow.tenant_user_memberships.members(tenant_id=tenant),
        {"ix_tenant_user_memberships_tenant_role", "uq_user_profiles_user_id"},
    ),
    "fold": (
        lambda uow, user, _: uow.usage_counters.fold_user(user),
        {"ix_usage_counters_user_period"},
    ),
    "disable": (
        lambda uow, user, _: disable_user(uow, user, "test"),
        {"ix_tenant_user_memberships_tenant_role"},
    ),
}

UNINDEXED = {"workflow_runs", "workflow_run_steps", "activity_events", "status_subscriptions"}
"""What a deletion reads in full: the seldom columns there that name a user have no index."""


@pytest.mark.parametrize("name", LOOKUPS)
async def test_a_look_up_follows_its_index(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount, name: str
) -> None:
    """And reads no table from end to end."""
    work, indexes = LOOKUPS[name]
    user = agentdb_make.user().id
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, work(uow, user, agentdb_tenant.id))

    assert indexes <= frozenset[str]().union(*(plan.indexes for plan in plans))
    assert [plan.text for plan in plans if plan.scans] == []


async def test_a_deletion_reads_in_full_what_has_no_index_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Everything else about a user is found by an index."""
    user = agentdb_make.user().id
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, delete_user(uow, user))

    assert frozenset[str]().union(*(plan.scans for plan in plans)) <= UNINDEXED
