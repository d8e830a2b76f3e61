from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.activity import actions
from agentdb.activity.actions import register_action
from agentdb.errors import InvalidValueError, NotFoundError, TenantMismatchError
from agentdb.models import TenantAccount
from agentdb.operations import set_entitlements
from agentdb.testing import Factory, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_entitlements_are_set_and_recorded(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Ordinary flags stay; the event tells who set what for whom."""
    tenant, actor = agentdb_make.tenant.id, agentdb_make.user(tenant=None).id
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.tenant_settings.put(flags={"beta": True}, tenant_id=tenant)
        flags = {"feature.sso": True, "feature.old": None}
        row = await set_entitlements(uow, flags, actor=actor, tenant_id=tenant, now=NOON)
        (event,) = await uow.activity_events.all()

        assert row.flags_json == {"beta": True, "feature.sso": True}
        assert (row.version, row.updated_at) == (2, NOON)
        assert (event.tenant_id, event.action) == (tenant, "tenant.account.updated")
        assert (event.actor_id, event.actor_type) == (actor, "user")
        assert (event.object_type, event.object_id) == ("tenant", str(tenant))
        assert (event.metadata_json, event.created_at) == ({"entitlements": flags}, NOON)


async def test_without_an_actor_the_system_has_acted(agentdb_uow: UnitOfWork) -> None:
    """Of the tenant of the unit, unless one is named."""
    await set_entitlements(agentdb_uow, {"feature.sso": True})
    (event,) = await agentdb_uow.activity_events.all()

    assert (event.actor_id, event.actor_type) == (None, "system")


@pytest.mark.parametrize(
    ("flags", "tenant", "error"),
    [
        ({"beta": True}, None, InvalidValueError),
        ({"feature.sso": True, "beta": None}, None, InvalidValueError),
        ({"feature.sso": "yes"}, None, InvalidValueError),
        ({"feature.sso": True}, uuid4(), TenantMismatchError),
    ],
)
async def test_what_is_refused_leaves_nothing(
    agentdb_uow: UnitOfWork, flags: dict[str, Any], tenant: UUID | None, error: type[Exception]
) -> None:
    """Neither settings nor an event; the unit goes on."""
    with pytest.raises(error):
        await set_entitlements(agentdb_uow, flags, tenant_id=tenant)

    assert await agentdb_uow.tenant_settings.count() == 0
    assert await agentdb_uow.activity_events.count() == 0


async def test_an_event_that_the_host_refuses_undoes_the_change(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings that the unit has loaded tell so, too."""
    row = await agentdb_uow.tenant_settings.put(flags={"beta": True})
    monkeypatch.setattr(actions, "_REGISTERED", {})
    register_action("tenant.account.updated", allowed=["plan"])
    with pytest.raises(InvalidValueError):
        await set_entitlements(agentdb_uow, {"feature.sso": True})

    assert (row.version, row.flags_json) == (1, {"beta": True})


async def test_a_tenant_that_does_not_exist_has_no_entitlements(agentdb_database: Database) -> None:
    """A system unit is told so, and goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(NotFoundError):
            await set_entitlements(uow, {"feature.sso": True}, tenant_id=uuid4())

        assert await uow.activity_events.count() == 0


@pytest.mark.agentdb_commits
async def test_eight_calls_at_once_are_all_kept(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """One row with all entitlements, and an event for each call."""

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await set_entitlements(uow, {f"feature.{number}": True})

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        row = await uow.tenant_settings.get_or_default()
        assert row.flags_json == {f"feature.{number}": True for number in range(8)}
        assert await uow.activity_events.count() == row.version == 8
