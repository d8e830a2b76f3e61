"""What the feed reads: by index, and no more than a count needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import event, select, text

from agentdb import Database, UnitOfWork
from agentdb.activity.reading import LOOKED_AT, Reader
from agentdb.models import ActivityEvent
from agentdb.operations import inbox, mark_all_read
from agentdb.tenancy import CONFINED
from agentdb.testing import Factory, explain
from tests.plans import plans_of

pytestmark = pytest.mark.agentdb_plans

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CAP = 10

FEED = "ix_activity_events_tenant_created"
MARKED = "ix_activity_receipts_user_status"
RECEIPT = "uq_activity_event_receipts_tenant_id_user_id_event_id"


NAMED = {"checkpoint", "looked_at"}
"""Results of subqueries, which are read from end to end."""


def unconfined(statement: Any) -> Any:
    """Return a statement as the verbs send it, which names its tenant itself."""
    return statement.execution_options(**{CONFINED: True})


def new_events(tenant: UUID, number: int) -> list[ActivityEvent]:
    """Return events, oldest first."""
    return [
        ActivityEvent(tenant_id=tenant, action="host.done", created_at=NOON + n * SECOND)
        for n in range(number)
    ]


async def filled(uow: UnitOfWork, tenant: UUID, number: int) -> list[UUID]:
    """Return the ids of new events, oldest first."""
    rows = new_events(tenant, number)
    await uow.activity_events.add_many(rows)
    return [row.id for row in rows]


async def analysed(uow: UnitOfWork) -> None:
    """Let PostgreSQL count the rows of the feed: which of two indexes it takes depends on them."""
    if uow.is_postgresql:
        for table in ("activity_events", "activity_event_receipts"):
            await uow.execute(text(f"ANALYZE {table}"))


@pytest.fixture
async def crowd(agentdb_database: Database, agentdb_make: Factory) -> tuple[UUID, UUID]:
    """Return a member and a tenant, of several with members who read 100 events."""
    tenants = [agentdb_make.tenant.id, *(agentdb_make.tenant_account().id for _ in range(4))]
    members = {t: [agentdb_make.user(tenant_id=t).id for _ in range(4)] for t in tenants}
    async with agentdb_database.begin_system(reason="test") as uow:
        for tenant in tenants:
            keys = await filled(uow, tenant, 100)
            for user in members[tenant]:
                mark = uow.activity_event_receipts.mark_all
                await mark(keys, user, "read", tenant_id=tenant)
        await analysed(uow)
    return members[tenants[0]][0], tenants[0]


async def test_an_inbox_follows_indexes(crowd: tuple[UUID, UUID], agentdb_uow: UnitOfWork) -> None:
    """The events, the receipts of each, those that say unread, and the checkpoint."""
    user, _ = crowd
    first = await inbox(agentdb_uow, user, limit=1)
    plans = await plans_of(agentdb_uow, inbox(agentdb_uow, user))
    plans += await plans_of(agentdb_uow, inbox(agentdb_uow, user, after=first.next_cursor, limit=1))

    assert len(plans) == 2
    for plan in plans:
        for index in (FEED, MARKED, RECEIPT):
            plan.assert_uses_index(index)
        assert plan.scans <= NAMED


async def test_the_verbs_of_the_feed_read_no_table_in_full(
    crowd: tuple[UUID, UUID], agentdb_uow: UnitOfWork
) -> None:
    """Searching, asking for states, reading all."""
    user, tenant = crowd
    keys = [event.id for event in await agentdb_uow.activity_events.for_tenant(tenant)]
    receipts = agentdb_uow.activity_event_receipts
    calls = [
        agentdb_uow.activity_events.search(since=NOON),
        agentdb_uow.activity_events.search(action="host.done"),
        agentdb_uow.activity_events.search(object_type="thing", object_id="7"),
        agentdb_uow.activity_events.search(request_id="r"),
        receipts.states(user, keys),
        mark_all_read(agentdb_uow, user),
    ]
    plans = [plan for call in calls for plan in await plans_of(agentdb_uow, call)]

    assert [plan.text for plan in plans if not plan.scans <= NAMED] == []


async def test_a_count_follows_indexes(crowd: tuple[UUID, UUID], agentdb_uow: UnitOfWork) -> None:
    """The events, the receipt of each, and the receipts that say unread."""
    user, tenant = crowd
    plan = await explain(agentdb_uow, unconfined(select(Reader(tenant, user).unread(CAP))))

    for index in (FEED, MARKED, RECEIPT):
        plan.assert_uses_index(index)
    assert plan.scans <= NAMED


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("status", [None, "read", "unread"])
async def test_a_count_reads_no_more_rows_than_its_cap_asks_for(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, status: str | None
) -> None:
    """Unread ones: as many as the cap; behind a thousand that were read: ten times as many."""
    user, tenant = agentdb_make.user().id, agentdb_make.tenant.id
    keys = await filled(agentdb_uow, tenant, 1000)
    if status is not None:
        await agentdb_uow.activity_event_receipts.mark_all(keys, user, status)
    await analysed(agentdb_uow)
    found = await _explained(agentdb_uow, select(Reader(tenant, user).unread(CAP)))
    rows = sum(node["Actual Rows"] * node["Actual Loops"] for node in found)

    each = CAP * LOOKED_AT if status else CAP
    marked = {None: 0, "read": each, "unread": each + CAP}[status]
    assert CAP <= rows <= each + marked + 1


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("status", [None, "read", "unread"])
async def test_a_count_takes_as_many_steps_for_all_feeds_above_its_cap(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, status: str | None
) -> None:
    """Instructions of the database's own machine: the same for 200 events and for 1,200."""
    user, tenant = agentdb_make.user().id, agentdb_make.tenant.id
    steps: list[int] = []
    for number in (200, 1000):
        keys = await filled(agentdb_uow, tenant, number)
        if status is not None:
            await agentdb_uow.activity_event_receipts.mark_all(keys, user, status)
        steps.append(await _steps(agentdb_uow, user))

    assert steps[0] == steps[1] > CAP


async def _steps(uow: UnitOfWork, user: UUID) -> int:
    """Return how many instructions a count takes."""
    count = uow.activity_last_seen.count_unread
    await count(user, cap=CAP)  # compiled and flushed by then
    connection = await (await uow.session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    taken: list[None] = []
    await driver.set_progress_handler(lambda: taken.append(None), 1)
    try:
        await count(user, cap=CAP)
    finally:
        await driver.set_progress_handler(None, 1)
    return len(taken)


async def _explained(uow: UnitOfWork, statement: Any) -> list[dict[str, Any]]:
    """Run a statement and return what read tables, with the rows that it met."""
    connection = (await uow.session.connection()).sync_connection

    def explained(_: Any, __: Any, sql: str, values: Any, *___: Any) -> tuple[str, Any]:
        return f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values

    event.listen(connection, "before_cursor_execute", explained, retval=True)
    try:
        shown: Any = (await uow.execute(statement)).scalar_one()
    finally:
        event.remove(connection, "before_cursor_execute", explained)
    plan: Any = json.loads(shown) if isinstance(shown, str) else shown
    return [node for node in _nodes(plan[0]["Plan"]) if "Relation Name" in node]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in cast("list[dict[str, Any]]", node.get("Plans", [])):
        yield from _nodes(child)
