from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NaiveDatetimeError, NotFoundError
from agentdb.testing import Factory, run_concurrently
from tests.activity.feeds import recorded

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
LOW, HIGH = UUID(int=1), UUID(int=2**128 - 1)

FORWARD = [(NOON, LOW), (NOON, HIGH), (NOON, None), (LATER, LOW), (LATER, None)]
"""Places, each after the one before: within an instant by id, and then the end of the instant."""


async def test_a_checkpoint_moves_forward_alone(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """To each later place; an earlier or the same one leaves it and its stamp."""
    user = agentdb_make.user().id
    advance = agentdb_uow.activity_last_seen.advance
    for number, (at, event) in enumerate(FORWARD):
        moved = NOON + timedelta(days=number)
        row = await advance(user, at, event_id=event, now=moved)
        for earlier, other in FORWARD[: number + 1]:
            assert await advance(user, earlier, event_id=other, now=moved + LATER.resolution) is row
        assert (row.last_seen_created_at, row.last_seen_event_id) == (at, event)
        assert row.updated_at == moved

    assert await agentdb_uow.activity_last_seen.count() == 1


async def test_a_stranger_has_no_checkpoint(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Neither nobody nor a member of another tenant; the unit goes on."""
    stranger = agentdb_make.user(tenant=agentdb_make.tenant_account())
    for user in (stranger.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.activity_last_seen.advance(user, NOON)
    with pytest.raises(NaiveDatetimeError):
        await agentdb_uow.activity_last_seen.advance(
            agentdb_make.user().id, NOON.replace(tzinfo=None)
        )

    assert await agentdb_uow.activity_last_seen.count() == 0


async def test_a_checkpoint_of_one_tenant_says_nothing_of_another(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A member of two has a checkpoint in each."""
    user, other = agentdb_make.user(), agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(user=user, tenant=other)
    tenants = [agentdb_make.tenant.id, other.id]
    for tenant in tenants:
        agentdb_make.activity_event(tenant=tenant, created_at=NOON)
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.activity_last_seen.advance(user.id, LATER, tenant_id=tenants[0])
        count = uow.activity_last_seen.count_unread
        assert [await count(user.id, tenant_id=tenant) for tenant in tenants] == [0, 1]


async def test_a_count_ends_at_its_cap(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Whether they are unread by a receipt or without one."""
    user = agentdb_make.user().id
    events = await recorded(agentdb_uow, *(NOON + n * LATER.resolution for n in range(6)))
    await agentdb_uow.activity_event_receipts.mark_all([e.id for e in events[:3]], user, "unread")
    count = agentdb_uow.activity_last_seen.count_unread
    assert [await count(user, cap=cap) for cap in (1, 3, 4, 6, 7)] == [1, 3, 4, 6, 6]

    await agentdb_uow.activity_last_seen.advance(user, LATER)
    assert [await count(user, cap=cap) for cap in (1, 2, 3, 7)] == [1, 2, 3, 3]
    for cap in (0, -1, True):
        with pytest.raises(InvalidValueError):
            await count(user, cap=cap)


@pytest.mark.agentdb_commits
async def test_a_checkpoint_is_the_latest_of_many_callers(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Sixty-four first calls leave one row, that of the latest place, whoever comes last."""
    user, tenant = agentdb_make.user().id, agentdb_make.tenant.id
    places = [(NOON + n % 8 * LATER.resolution, UUID(int=n + 1)) for n in range(64)]

    async def advance(number: int) -> bool:
        at, event = places[number * 37 % 64]
        async with agentdb_database.begin(tenant=tenant) as uow:
            row = await uow.activity_last_seen.advance(user, at, event_id=event)
            assert row.last_seen_event_id is not None
            return (row.last_seen_created_at, row.last_seen_event_id) >= (at, event)

    outcomes = await run_concurrently(64, advance, database=agentdb_database)

    assert outcomes == [True] * 64
    async with agentdb_database.read(tenant=tenant) as uow:
        (row,) = await uow.activity_last_seen.all()
    assert (row.last_seen_created_at, row.last_seen_event_id) == max(places)
