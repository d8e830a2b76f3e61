from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.testing import Factory, Queries, run_concurrently
from tests.activity.feeds import recorded

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


async def test_a_receipt_is_kept_up_to_date(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Of an event and a member there is one; it tells when it was made and last changed."""
    user = agentdb_make.user().id
    (event,) = await recorded(agentdb_uow, NOON)
    made = await agentdb_uow.activity_event_receipts.mark(event.id, user, "read", now=NOON)
    again = await agentdb_uow.activity_event_receipts.mark(event.id, user, "unread", now=LATER)

    assert made is again
    assert (again.status, again.created_at, again.updated_at) == ("unread", NOON, LATER)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.activity_event_receipts.mark(event.id, user, "seen")
    assert await agentdb_uow.activity_event_receipts.count() == 1


async def test_what_another_tenant_has_cannot_be_marked(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Neither its events nor for its members, one by one or several; nothing is stored."""
    other = agentdb_make.tenant_account()
    foreign = agentdb_make.activity_event(tenant=other).id
    user, stranger = agentdb_make.user().id, agentdb_make.user(tenant=other).id
    (event,) = await recorded(agentdb_uow, NOON)
    receipts = agentdb_uow.activity_event_receipts
    for key, member in ((foreign, user), (event.id, stranger), (uuid4(), user)):
        with pytest.raises(NotFoundError):
            await receipts.mark(key, member, "read")
        with pytest.raises(NotFoundError):
            await receipts.mark_all([event.id, key], member, "read")

    assert await receipts.count() == 0
    assert await receipts.states(user, [foreign, event.id]) == {event.id: "unread"}


async def test_several_events_are_marked_at_once(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """What changed is counted, and receipts that the unit has read tell the new state."""
    user = agentdb_make.user().id
    events = await recorded(agentdb_uow, *[NOON] * 4)
    receipts = agentdb_uow.activity_event_receipts
    loaded = await receipts.mark(events[0].id, user, "read", now=NOON)
    await receipts.mark(events[1].id, user, "dismissed", now=NOON)
    keys = [event.id for event in events[:3]]

    assert await receipts.mark_all([*keys, *keys], user, "dismissed", now=LATER) == 2
    assert await receipts.mark_all(keys, user, "dismissed") == 0
    assert await receipts.mark_all([], user, "dismissed") == 0
    assert (loaded.status, loaded.created_at, loaded.updated_at) == ("dismissed", NOON, LATER)
    states = await receipts.states(user, [event.id for event in events])
    assert states == {**dict.fromkeys(keys, "dismissed"), events[3].id: "unread"}
    with pytest.raises(InvalidValueError):
        await receipts.mark_all(keys, user, "seen")


async def test_many_events_are_marked_in_few_statements(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Two to look whose they are, one to write 300; their states are one."""
    user = agentdb_make.user().id
    keys = [event.id for event in await recorded(agentdb_uow, *[NOON] * 300)]
    with agentdb_queries(max=3):
        assert await agentdb_uow.activity_event_receipts.mark_all(keys, user, "read") == 300
    with agentdb_queries(max=1):
        found = await agentdb_uow.activity_event_receipts.states(user, keys)

    assert found == dict.fromkeys(keys, "read")


@pytest.mark.agentdb_commits
async def test_eight_first_receipts_are_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed, and the last one's state stays."""
    user, event = agentdb_make.user(), agentdb_make.activity_event()

    async def mark(number: int) -> UUID:
        async with agentdb_database.begin(tenant=event.tenant_id) as uow:
            status = ("read", "dismissed")[number % 2]
            return (await uow.activity_event_receipts.mark(event.id, user.id, status)).id

    outcomes = await run_concurrently(8, mark, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=event.tenant_id) as uow:
        (row,) = await uow.activity_event_receipts.all()
    assert set(outcomes.results) == {row.id}


@pytest.mark.agentdb_commits
async def test_those_who_mark_several_do_not_wait_in_a_circle(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Eight mark the same events in orders of their own; all succeed."""
    user, tenant = agentdb_make.user(), agentdb_make.tenant.id
    events = [agentdb_make.activity_event() for _ in range(40)]

    async def mark(number: int) -> int:
        keys = [event.id for event in (events if number % 2 else events[::-1])]
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.activity_event_receipts.mark_all(keys, user.id, "read")

    outcomes = await run_concurrently(8, mark, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(outcomes.results) == 40
