from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.activity.reading import UNREAD_CAP
from agentdb.errors import InvalidCursorError, InvalidValueError, NotFoundError
from agentdb.models import ActivityEvent
from agentdb.operations import inbox, mark_all_read
from agentdb.testing import Factory, Queries, run_concurrently
from tests.activity.feeds import Feed, recorded

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def walked(
    uow: UnitOfWork, user: UUID, limit: int, *, dismissed: bool = True
) -> list[tuple[UUID, str]]:
    """Return the events of an inbox, page by page, with their states."""
    found: list[tuple[UUID, str]] = []
    after: str | None = None
    while True:
        page = await inbox(uow, user, include_dismissed=dismissed, after=after, limit=limit)
        assert len(page.items) <= limit
        found += [(item.event.id, item.state) for item in page.items]
        after = page.next_cursor
        if after is None:
            return found


async def test_an_inbox_without_events_is_empty(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It tells the checkpoint all the same, and nothing is left to mark."""
    user = agentdb_make.user().id
    empty = await inbox(agentdb_uow, user)
    assert (empty.items, empty.next_cursor) == ((), None)
    assert (empty.unread, empty.checkpoint) == (0, None)
    assert await mark_all_read(agentdb_uow, user) is None

    row = await agentdb_uow.activity_last_seen.advance(user, NOON)
    assert (await inbox(agentdb_uow, user)).checkpoint is row
    assert await mark_all_read(agentdb_uow, user) is row


async def test_a_receipt_outweighs_the_checkpoint(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """What was marked as unread is unread in the list and in the count, before it or behind."""
    user = agentdb_make.user().id
    events = await recorded(agentdb_uow, *(NOON + n * SECOND for n in range(5)))
    await agentdb_uow.activity_last_seen.advance(user, events[2].created_at, event_id=events[2].id)
    for place, status in ((0, "unread"), (1, "dismissed"), (3, "read")):
        await agentdb_uow.activity_event_receipts.mark(events[place].id, user, status)
    page = await inbox(agentdb_uow, user)

    states = [(events.index(item.event), item.state) for item in page.items]
    assert states == [(4, "unread"), (3, "read"), (2, "read"), (0, "unread")]
    assert page.unread == await agentdb_uow.activity_last_seen.count_unread(user) == 2
    every = await inbox(agentdb_uow, user, include_dismissed=True)
    assert [item.state for item in every.items] == ["unread", "read", "read", "dismissed", "unread"]


async def test_filters_choose_events_and_leave_the_count(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A page in the middle of nothing tells the count, too."""
    user = agentdb_make.user().id
    events = await recorded(agentdb_uow, *(NOON + n * SECOND for n in range(3)))
    other = await agentdb_uow.activity_events.record("host.other", now=NOON)

    named = await inbox(agentdb_uow, user, action="host.other")
    assert [item.event for item in named.items] == [other]
    timed = await inbox(agentdb_uow, user, since=NOON + SECOND, until=NOON + 2 * SECOND)
    assert [item.event for item in timed.items] == [events[1]]
    none = await inbox(agentdb_uow, user, action="host.none")
    assert none.items == ()
    assert [page.unread for page in (named, timed, none)] == [4, 4, 4]


async def test_a_cursor_is_of_one_inbox(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Of one member, with the same filters; a limit is 1 to 500."""
    user, other = agentdb_make.user().id, agentdb_make.user().id
    await recorded(agentdb_uow, NOON, NOON)
    cursor = (await inbox(agentdb_uow, user, limit=1)).next_cursor
    assert cursor is not None
    with pytest.raises(InvalidCursorError):
        await inbox(agentdb_uow, other, after=cursor)
    with pytest.raises(InvalidCursorError):
        await inbox(agentdb_uow, user, after=cursor, include_dismissed=True)
    with pytest.raises(InvalidCursorError):
        await inbox(agentdb_uow, user, after=cursor, action="host.done")
    for limit in (0, 501):
        with pytest.raises(InvalidValueError):
            await inbox(agentdb_uow, user, limit=limit)

    assert len((await inbox(agentdb_uow, user, after=cursor)).items) == 1


async def test_an_inbox_shows_one_tenant(agentdb_database: Database, agentdb_make: Factory) -> None:
    """The unit's, or in a system unit the one that is named; read elsewhere is not read here."""
    user, other = agentdb_make.user().id, agentdb_make.tenant_account()
    agentdb_make.tenant_user_membership(user_id=user, tenant=other)
    events = {
        tenant: agentdb_make.activity_event(tenant_id=tenant, created_at=NOON).id
        for tenant in (agentdb_make.tenant.id, other.id)
    }
    async with agentdb_database.begin_system(reason="test") as uow:
        await mark_all_read(uow, user, tenant_id=other.id)
        pages = {tenant: await inbox(uow, user, tenant_id=tenant) for tenant in events}

    found = {t: [(i.event.id, i.state) for i in page.items] for t, page in pages.items()}
    own = agentdb_make.tenant.id
    assert found == {own: [(events[own], "unread")], other.id: [(events[other.id], "read")]}
    assert [page.unread for page in pages.values()] == [1, 0]


async def test_an_inbox_is_one_statement_however_full(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """And so of one instant; reading all is as many statements for one event as for a hundred."""
    user = agentdb_make.user().id
    sent: list[int] = []
    for number in (1, 100):
        events = await recorded(agentdb_uow, *(NOON + n * SECOND for n in range(number)))
        await agentdb_uow.activity_event_receipts.mark_all([e.id for e in events], user, "unread")
        agentdb_uow.session.expunge_all()
        with agentdb_queries(max=1):
            page = await inbox(agentdb_uow, user, limit=100)
        assert len(page.items) == min(len(events) + len(sent), 100)
        agentdb_uow.session.expunge_all()
        with agentdb_queries(max=5) as seen:
            await mark_all_read(agentdb_uow, user)
        sent.append(len(seen))

    assert sent[0] == sent[1]


async def test_reading_all_goes_as_far_as_the_unit_sees(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """To the newest event, whatever the clock says; what was dismissed stays so."""
    user = agentdb_make.user().id
    events = await recorded(agentdb_uow, *(NOON + n * SECOND for n in range(3)))
    loaded = await agentdb_uow.activity_event_receipts.mark(events[0].id, user, "unread")
    await agentdb_uow.activity_event_receipts.mark(events[1].id, user, "dismissed")
    row = await mark_all_read(agentdb_uow, user)

    assert row is not None
    assert (row.last_seen_created_at, row.last_seen_event_id) == (
        events[2].created_at,
        events[2].id,
    )
    assert loaded.status == "read"
    keys = [event.id for event in events]
    states = await agentdb_uow.activity_event_receipts.states(user, keys)
    assert list(states.values()).count("read") == 2
    assert states[events[1].id] == "dismissed"
    (later,) = await recorded(agentdb_uow, NOON + 3 * SECOND)
    page = await inbox(agentdb_uow, user)
    assert (page.items[0].event, page.items[0].state, page.unread) == (later, "unread", 1)
    stranger = agentdb_make.user(tenant=agentdb_make.tenant_account())
    with pytest.raises(NotFoundError):
        await mark_all_read(agentdb_uow, stranger.id)


async def test_an_inbox_counts_up_to_a_thousand(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """And no further."""
    user, tenant = agentdb_make.user().id, agentdb_make.tenant.id
    rows = [
        ActivityEvent(tenant_id=tenant, action="host.done", created_at=NOON + n * SECOND)
        for n in range(UNREAD_CAP + 1)
    ]
    await agentdb_uow.activity_events.add_many(rows)

    assert (await inbox(agentdb_uow, user, limit=1)).unread == UNREAD_CAP
    await agentdb_uow.activity_last_seen.advance(user, NOON + SECOND)
    assert (await inbox(agentdb_uow, user, limit=1)).unread == UNREAD_CAP - 1


@pytest.mark.agentdb_commits
async def test_those_who_read_all_at_once_leave_one_checkpoint(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Beside others who mark the same events as unread; all succeed."""
    user, tenant = agentdb_make.user().id, agentdb_make.tenant.id
    events = [agentdb_make.activity_event(created_at=NOON + n * SECOND) for n in range(20)]
    keys = [event.id for event in events]

    async def call(number: int) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            if number % 2:
                await uow.activity_event_receipts.mark_all(keys, user, "unread")
            else:
                await mark_all_read(uow, user)

    outcomes = await run_concurrently(16, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        (row,) = await uow.activity_last_seen.all()
        page = await inbox(uow, user)
    assert row.last_seen_event_id == keys[-1]
    states = {item.state for item in page.items}
    assert len(states) == 1
    assert page.unread == (20 if states == {"unread"} else 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 2), st.none()),
        st.tuples(
            st.just("mark"),
            st.integers(0, 9),
            st.sampled_from(["unread", "read", "dismissed"]),
        ),
        st.tuples(st.just("advance"), st.integers(0, 2), st.none() | st.integers(0, 9)),
        st.tuples(st.just("read all"), st.just(0), st.none()),
    ),
    max_size=25,
)
"""Events of three instants, and what a member does with them."""


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, limit=st.integers(1, 4))
async def test_lists_and_counts_agree_with_the_promise(
    agentdb_database: Database,
    agentdb_make: Factory,
    steps: list[tuple[str, int, int | str | None]],
    limit: int,
) -> None:
    """Whatever was marked, read and recorded in whatever order, also within one instant."""
    tenant = agentdb_make.tenant_account().id
    user = agentdb_make.user(tenant_id=tenant).id
    feed, events = Feed(), list[ActivityEvent]()
    async with agentdb_database.begin(tenant=tenant) as uow:
        for step in steps:
            await _take(uow, user, feed, events, step)
        expected = feed.inbox(events)
        shown = [(key, state) for key, state in expected if state != "dismissed"]
        states = await uow.activity_event_receipts.states(user, [event.id for event in events])
        page = await inbox(uow, user)

        assert await walked(uow, user, limit) == expected
        assert await walked(uow, user, limit, dismissed=False) == shown
        assert states == dict(expected)
        unread = sum(state == "unread" for _, state in expected)
        assert page.unread == await uow.activity_last_seen.count_unread(user) == unread


async def _take(
    uow: UnitOfWork,
    user: UUID,
    feed: Feed,
    events: list[ActivityEvent],
    step: tuple[str, int, int | str | None],
) -> None:
    kind, number, detail = step
    if kind == "record":
        events += await recorded(uow, NOON + number * SECOND)
    elif kind == "advance":
        at = NOON + number * SECOND
        same = [event.id for event in events if event.created_at == at]
        last = same[detail % len(same)] if same and isinstance(detail, int) else None
        await uow.activity_last_seen.advance(user, at, event_id=last)
        feed.advance(at, last)
    elif kind == "read all":
        await mark_all_read(uow, user)
        feed.read_all(events)
    elif events:
        event = events[number % len(events)].id
        await uow.activity_event_receipts.mark(event, user, str(detail))
        feed.receipts[event] = str(detail)
