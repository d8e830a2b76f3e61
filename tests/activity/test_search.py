from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidCursorError, NaiveDatetimeError
from agentdb.testing import Factory
from tests.activity.feeds import recorded
from tests.conversations.talks import walked

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def test_a_search_is_from_an_instant_to_before_another(agentdb_uow: UnitOfWork) -> None:
    """Newest first."""
    events = await recorded(agentdb_uow, *(NOON + n * SECOND for n in range(4)))
    page = await agentdb_uow.activity_events.search(since=NOON + SECOND, until=NOON + 3 * SECOND)

    assert list(page) == [events[2], events[1]]
    with pytest.raises(NaiveDatetimeError):
        await agentdb_uow.activity_events.search(since=NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    "columns",
    [
        {"action": "host.other"},
        {"actor_type": "service"},
        {"actor_role": "owner"},
        {"object_type": "thing"},
        {"object_id": "7"},
        {"object_name": "Seven"},
        {"status": "failure"},
        {"source": "api"},
        {"request_id": "r"},
        {"ip_hash": "h"},
        {"user_agent": "x" * 600},
    ],
    ids=lambda columns: next(iter(columns)),
)
async def test_a_search_compares_what_is_given(
    agentdb_uow: UnitOfWork, columns: dict[str, Any]
) -> None:
    """None compares nothing; a value too long for the column is that of no event."""
    await recorded(agentdb_uow, NOON)
    values: dict[str, Any] = {"action": "host.done", **columns}
    unset: dict[str, Any] = dict.fromkeys(columns)
    event = await agentdb_uow.activity_events.record(**values)
    search = agentdb_uow.activity_events.search

    assert list(await search(**columns)) == [event]
    assert len(await search(**unset)) == 2
    assert len(await search(request_id="x" * 300)) == 0


async def test_a_walk_over_events_of_one_instant_shows_each_once(agentdb_uow: UnitOfWork) -> None:
    """Five in pages of two; the cursor is of this search alone."""
    events = await recorded(agentdb_uow, *[NOON] * 5)
    search = agentdb_uow.activity_events.search
    pages = await walked(lambda after: search(action="host.done", after=after, limit=2))
    cursor = (await search(limit=2)).next_cursor

    assert [event for page in pages for event in page] == events[::-1]
    with pytest.raises(InvalidCursorError):
        await search(action="host.done", after=cursor, limit=2)


async def test_a_system_unit_searches_all_tenants_or_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A tenant's unit sees its own events."""
    own = agentdb_make.activity_event()
    other = agentdb_make.activity_event(tenant=agentdb_make.tenant_account())
    async with agentdb_database.read(reason="test") as uow:
        every = await uow.activity_events.search()
        named = await uow.activity_events.search(tenant_id=other.tenant_id)
    async with agentdb_database.read(tenant=own.tenant_id) as uow:
        seen = await uow.activity_events.search()

    assert {row.id for row in every} == {own.id, other.id}
    assert [row.id for row in named] == [other.id]
    assert [row.id for row in seen] == [own.id]
