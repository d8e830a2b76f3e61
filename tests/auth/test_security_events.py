from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, Page, UnitOfWork
from agentdb.auth.models import SecurityEvent
from agentdb.auth.values import SecurityEventType
from agentdb.errors import NotFoundError, ValueTooLongError
from agentdb.testing import Factory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RESET = SecurityEventType.PASSWORD_RESET_ADMIN


async def test_an_event_is_recorded_for_the_tenant_of_the_unit(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """With what the caller knows of it."""
    user = agentdb_make.tenant_user_membership().user_id
    event = await agentdb_uow.security_events.record(
        RESET, user_id=user, ip_hash="i", request_id="7", metadata_json={"by": "x"}, now=NOON
    )

    assert (event.tenant_id, event.user_id, event.event_type) == (agentdb_uow.tenant, user, RESET)
    assert (event.ip_hash, event.request_id, event.created_at) == ("i", "7", NOON)
    assert event.metadata_json == {"by": "x"}
    assert event.source is None


async def test_a_system_unit_records_with_and_without_a_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Neither a tenant nor a user need be known."""
    member = agentdb_make.tenant_user_membership()
    async with agentdb_database.begin_system(reason="test") as uow:
        record = uow.security_events.record
        of_nobody = await record("probe")
        of_tenant = await record(RESET, user_id=member.user_id, tenant_id=member.tenant_id)

        assert (of_nobody.tenant_id, of_nobody.user_id) == (None, None)
        assert of_tenant.tenant_id == member.tenant_id


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"event_type": "x" * 33}, ValueTooLongError),
        ({"user_agent_hash": "x" * 129}, ValueTooLongError),
        ({"user_id": uuid4()}, NotFoundError),
    ],
)
async def test_a_refused_event_is_not_recorded(
    agentdb_uow: UnitOfWork, values: dict[str, Any], error: type[Exception]
) -> None:
    """A column refuses its value, or the user is no member; the unit goes on."""
    event: dict[str, Any] = {"event_type": "probe", **values}
    with pytest.raises(error):
        await agentdb_uow.security_events.record(**event)

    assert await agentdb_uow.security_events.count() == 0


async def walked(uow: UnitOfWork, **filters: Any) -> list[SecurityEvent]:
    """Return what a search finds, in pages of two."""
    found: list[SecurityEvent] = []
    page: Page[SecurityEvent] | None = None
    while page is None or page.next_cursor is not None:
        after = None if page is None else page.next_cursor
        page = await uow.security_events.search(after=after, limit=2, **filters)
        found += page
    return found


async def test_a_search_finds_events_by_each_filter(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Newest first, and once each though several are of one instant."""
    user = agentdb_make.tenant_user_membership().user_id
    record = agentdb_uow.security_events.record
    events = [
        await record(kind, user_id=owner, now=NOON + timedelta(seconds=second))
        for kind, owner, second in [("a", user, 0), ("b", None, 1), ("a", None, 1), ("b", user, 1)]
    ]
    newest = sorted(events, key=lambda event: (event.created_at, event.id), reverse=True)

    assert await walked(agentdb_uow) == newest
    assert await walked(agentdb_uow, event_type="a") == [e for e in newest if e.event_type == "a"]
    assert await walked(agentdb_uow, user_id=user) == [e for e in newest if e.user_id == user]
    assert await walked(agentdb_uow, user_id=user, event_type="b") == [events[3]]


async def test_a_search_of_a_system_unit_is_narrowed_to_a_tenant(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Without one it sees the events of all tenants and of none."""
    tenants = [agentdb_make.tenant_account().id for _ in range(2)]
    async with agentdb_database.begin_system(reason="test") as uow:
        for tenant in (*tenants, None):
            await uow.security_events.record("probe", tenant_id=tenant)
        (found,) = await uow.security_events.search(tenant_id=tenants[0])

        assert found.tenant_id == tenants[0]
        assert len(await uow.security_events.search()) == 3
