from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import InstrumentedAttribute

from agentdb import Database, NewMessage, UnitOfWork, paging
from agentdb.activity.values import ActorType
from agentdb.auth.values import UsageCounterGranularity
from agentdb.errors import InvalidCursorError, InvalidValueError
from agentdb.models import (
    ActivityEvent,
    AgentContainer,
    BillingPlan,
    StatusSubscription,
    TenantAccount,
    TenantSignupRequest,
    UsageCounter,
    UserSession,
)
from agentdb.paging import decode_cursor, encode_cursor
from agentdb.repository import Repository
from agentdb.repository.order import order_of
from tests.repository.test_reads import stored
from tests.rows import DAY, INSTANT, Rows, key_of, row_of, rows_of, store

# A walk takes some twenty statements; the profile's number is meant for examples without any.
walks = settings(
    max_examples=max(25, (settings.default or settings()).max_examples // 2),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXTS = st.sampled_from(["", "a", "B", "b", "ä", "Z z", "😀", "%", "a\x7f"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5
)
NUMBERS = st.sampled_from([0, 1, 2]) | st.integers(-(2**31), 2**31 - 1)
INSTANTS = st.sampled_from([INSTANT, INSTANT + timedelta(microseconds=1)]) | st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 -- bounds are naive, the zone is added below
    datetime(2100, 1, 1),  # noqa: DTZ001
).map(lambda moment: moment.replace(tzinfo=INSTANT.tzinfo))
DAYS = st.sampled_from([DAY, DAY + timedelta(days=1)]) | st.dates(date(1900, 1, 1))
EMAILS = st.sampled_from(["a@x.example", "A@x.example", "b@x.example", "ß@x.example"])
UUIDS = st.sampled_from([UUID(int=0), UUID(int=1)]) | st.uuids()


@dataclass(frozen=True)
class Sort:
    """A column to walk by, and what it holds."""

    column: InstrumentedAttribute[Any]
    values: st.SearchStrategy[Any]

    @property
    def table(self) -> str:
        """The table of the column."""
        return str(self.column.class_.__tablename__)

    @property
    def key(self) -> str:
        """The attribute of the column."""
        return str(self.column.key)


SORTS = [
    Sort(ActivityEvent.action, TEXTS),
    Sort(ActivityEvent.object_name, st.none() | TEXTS),
    Sort(ActivityEvent.created_at, INSTANTS),
    Sort(ActivityEvent.actor_type, st.none() | st.sampled_from([*ActorType])),
    Sort(BillingPlan.is_active, st.booleans()),
    Sort(BillingPlan.price_cents, st.integers(0, 3)),
    Sort(BillingPlan.trial_days, st.none() | NUMBERS),
    Sort(StatusSubscription.target_encrypted, st.binary(min_size=1, max_size=3)),
    Sort(StatusSubscription.verification_expires_at, st.none() | INSTANTS),
    Sort(TenantSignupRequest.email, EMAILS),
    Sort(UsageCounter.input_tokens, NUMBERS),
    Sort(UsageCounter.granularity, st.sampled_from(UsageCounterGranularity)),
    Sort(UsageCounter.period_start, DAYS),
    Sort(UserSession.fingerprint, st.none() | TEXTS),
    Sort(ActivityEvent.actor_id, st.none() | UUIDS),
    Sort(AgentContainer.agent_key, TEXTS),
]
every_kind = pytest.mark.parametrize("sort", SORTS, ids=lambda s: f"{s.table}.{s.key}")


async def add_rows(unit: UnitOfWork, sort: Sort, parents: Rows, values: Sequence[Any]) -> list[Any]:
    """Store a row for each value and return them."""
    rows = [await new_row(unit, sort, parents, value) for value in values]
    await getattr(unit, sort.table).add_many(rows)
    return rows


async def new_row(unit: UnitOfWork, sort: Sort, parents: Rows, value: Any) -> Any:
    """Return a row that is not stored and meets the unique keys of its table."""
    label = f"row {uuid4()}"
    row = row_of(sort.table, label, parents, **{sort.key: value})
    if isinstance(row, UsageCounter | AgentContainer):
        # One row for each period, or agent, of a tenant.
        tenant = await unit.tenant_accounts.add(TenantAccount(slug=f"t-{uuid4().hex}", name="T"))
        row.tenant_id = tenant.id
    if isinstance(row, AgentContainer):
        own = row_of("containers", label, parents, tenant_id=row.tenant_id, owner_user_id=None)
        row.container_id = (await unit.containers.add(own)).id
    return row


@asynccontextmanager
async def undone(unit: UnitOfWork) -> AsyncGenerator[None]:
    """Undo what the block does: hypothesis calls a test many times in one unit."""
    nested = await unit.session.begin_nested()
    try:
        yield
    finally:
        await nested.rollback()


def directed(columns: Sequence[InstrumentedAttribute[Any]], descending: bool) -> list[Any]:
    """Return an order of *columns*."""
    return [column.desc() if descending else column.asc() for column in columns]


async def in_order(repository: Repository[Any, Any], sort: Sort, descending: bool) -> list[Any]:
    """Return all rows as a walk has to show them: NULLs last both ways, equal values by key."""
    column: Any = sort.column
    order = directed([column], descending)
    rows = [*await repository.all(column.is_not(None), order=order)]
    if column.property.columns[0].nullable:
        keys = directed(repository._key_columns()[:1], descending)
        rows += await repository.all(column.is_(None), order=keys)
    return rows


async def pages(
    repository: Repository[Any, Any], order: Sequence[Any], limits: Sequence[int]
) -> list[Sequence[Any]]:
    """Walk to the end; the limits are taken in turn."""
    found: list[Sequence[Any]] = []
    cursor: str | None = None
    while True:
        limit = limits[len(found) % len(limits)]
        page = await repository.page(order=order, after=cursor, limit=limit)
        found.append(page.items)
        cursor = page.next_cursor
        assert (cursor is None) or len(page) == limit
        if cursor is None:
            return found


@every_kind
@walks
@given(data=st.data())
async def test_a_walk_shows_every_row_once_and_in_order(
    system: UnitOfWork, parents: Rows, sort: Sort, data: st.DataObject
) -> None:
    """Whatever the values, the direction and the limits; the cursor is None exactly at the end."""
    values = data.draw(st.lists(sort.values, max_size=8))
    descending = data.draw(st.booleans())
    limits = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    repository: Any = getattr(system, sort.table)
    async with undone(system):
        await add_rows(system, sort, parents, values)
        expected = [key_of(row) for row in await in_order(repository, sort, descending)]
        found = await pages(repository, directed([sort.column], descending), limits)

    assert len(values) + 1 == len(expected)
    assert expected == [key_of(row) for page in found for row in page]
    assert all(found)


@pytest.mark.parametrize("sort", SORTS[1:7:5], ids=lambda s: f"{s.table}.{s.key}")
@walks
@given(data=st.data())
async def test_rows_that_come_and_go_disturb_no_other(
    system: UnitOfWork, parents: Rows, sort: Sort, data: st.DataObject
) -> None:
    """What is there during the whole walk appears once, whatever is added or deleted meanwhile."""
    values = data.draw(st.lists(sort.values, min_size=4, max_size=8))
    change = st.tuples(st.none() | st.integers(0, 7), st.lists(sort.values, max_size=1))
    changes = data.draw(st.lists(change, min_size=20, max_size=20))
    order = directed([sort.column], data.draw(st.booleans()))
    limit = data.draw(st.integers(1, 3))
    repository: Any = getattr(system, sort.table)
    seen: list[Any] = []
    async with undone(system):
        rows = await add_rows(system, sort, parents, values)
        staying = {key_of(row) for row in await repository.all()}
        page = await repository.page(order=order, limit=limit)
        for gone, new in changes:
            seen += [key_of(row) for row in page]
            if page.next_cursor is None:
                break
            if gone is not None and gone < len(rows):
                key = key_of(rows.pop(gone))
                staying.discard(key)
                await repository.delete(key)
            rows += await add_rows(system, sort, parents, new)
            page = await repository.page(order=order, after=page.next_cursor, limit=limit)

    assert page.next_cursor is None
    assert len(set(seen)) == len(seen)
    assert staying <= set(seen)


async def test_a_page_that_ends_with_the_table_has_no_cursor(system: UnitOfWork) -> None:
    """As many rows as the limit are one page, and one more makes a second."""
    await stored(system, *"abc")

    assert (await system.billing_plans.page(limit=3)).next_cursor is None
    cursor = (await system.billing_plans.page(limit=2)).next_cursor
    assert cursor is not None
    rest = await system.billing_plans.page(after=cursor, limit=1)
    assert (len(rest), rest.next_cursor) == (1, None)


async def test_a_walk_over_nothing_ends_at_once(system: UnitOfWork) -> None:
    """An empty page has no cursor."""
    page = await system.billing_plans.page(order=[BillingPlan.trial_days])

    assert (page.items, page.next_cursor) == ((), None)


async def test_a_cursor_outlives_the_row_it_came_from(system: UnitOfWork) -> None:
    """The walk goes on behind the place of a row that was deleted or moved."""
    rows = await stored(system, *"abcd")
    page = await system.billing_plans.page(order=[BillingPlan.code], limit=2)
    await system.billing_plans.delete(rows[1].id)
    rest = await system.billing_plans.page(order=[BillingPlan.code], after=page.next_cursor)

    assert [row.code for row in rest] == ["c", "d"]


@pytest.mark.parametrize("limit", [0, -1, 501, 10**9, True, 1.5, "10", None])
async def test_a_page_has_1_to_500_rows(system: UnitOfWork, limit: Any) -> None:
    """Other limits are refused, and named."""
    with pytest.raises(InvalidValueError, match="1 to 500"):
        await system.billing_plans.page(limit=limit)


async def test_a_cursor_works_with_another_limit(system: UnitOfWork) -> None:
    """The size of a page is no part of the query."""
    await stored(system, *"abcde")
    order = [BillingPlan.code]
    cursor = (await system.billing_plans.page(order=order, limit=1)).next_cursor
    page = await system.billing_plans.page(order=order, after=cursor, limit=500)

    assert [*"bcde"] == [row.code for row in page]


async def test_a_cursor_works_in_another_unit_with_equal_conditions(
    agentdb_database: Database,
) -> None:
    """Conditions are compared by what they say; the order of a set's values does not matter."""
    async with agentdb_database.begin_system(reason="test") as unit:
        await stored(unit, *"abcde")
        where = BillingPlan.code.in_(["a", "c", "e"])
        cursor = (await unit.billing_plans.page(where, limit=1)).next_cursor
    async with agentdb_database.read(reason="test") as unit:
        where = BillingPlan.code.in_(["e", "c", "a"])
        page = await unit.billing_plans.page(where, after=cursor)

    assert len(page) == 2


async def test_a_cursor_belongs_to_its_query(system: UnitOfWork, parents: Rows) -> None:
    """Another table, order, direction or filter refuses it; so does the absence of one."""
    await stored(system, *"abc")
    plans = system.billing_plans
    await system.containers.add(row_of("containers", "second", parents))
    where = BillingPlan.code != "x"
    order = [BillingPlan.code]
    cursor = (await plans.page(where, order=order, limit=1)).next_cursor
    assert cursor is not None
    others = [
        plans.page(order=order, after=cursor),
        plans.page(where, after=cursor),
        plans.page(where, order=[BillingPlan.code.desc()], after=cursor),
        plans.page(where, order=[BillingPlan.name], after=cursor),
        plans.page(where, order=[BillingPlan.code, BillingPlan.name], after=cursor),
        plans.page(BillingPlan.code != "y", order=order, after=cursor),
        plans.page(BillingPlan.name != "x", order=order, after=cursor),
        plans.page(where, BillingPlan.is_active.is_(True), order=order, after=cursor),
        plans.page(where, order=order, after=cursor, include_deleted=True),
        system.containers.page(after=cursor),
        system.tenant_accounts.page(after=cursor),
    ]
    for page in others:
        with pytest.raises(InvalidCursorError):
            await page

    assert len(await plans.page(where, order=order, after=cursor)) - 1 == 3 - 1


async def test_a_cursor_belongs_to_its_tenant(agentdb_database: Database) -> None:
    """The same query of another tenant, or of a system unit, refuses it."""
    alpha, beta = rows_of("alpha"), rows_of("beta")
    async with agentdb_database.begin_system(reason="test") as unit:
        for rows in (alpha, beta):
            second = row_of("containers", f"second {id(rows)}", rows)
            await unit.session.run_sync(store, [*rows.values(), second])
    async with agentdb_database.begin(tenant=alpha["tenant_accounts"].id) as unit:
        cursor = (await unit.containers.page(limit=1)).next_cursor
        assert len(await unit.containers.page(after=cursor)) == 1
    async with agentdb_database.begin(tenant=beta["tenant_accounts"].id) as unit:
        with pytest.raises(InvalidCursorError):
            await unit.containers.page(after=cursor)
    async with agentdb_database.begin_system(reason="test") as unit:
        with pytest.raises(InvalidCursorError):
            await unit.containers.page(after=cursor)


BOUND = "the query"
KINDS: list[type[Any]] = [str, int, datetime, UUID, bool, date, bytes]
POSITION = ["a", 1, INSTANT, UUID(int=1), True, DAY, b"\x00"]


def test_a_position_comes_back_as_it_was() -> None:
    """Every type of a sort column, and NULL, passes through a cursor."""
    assert decode_cursor(BOUND, encode_cursor(BOUND, POSITION), KINDS) == POSITION
    nothing = [None] * len(KINDS)
    assert nothing == decode_cursor(BOUND, encode_cursor(BOUND, nothing), KINDS)


@given(st.data())
def test_a_damaged_cursor_is_refused(data: st.DataObject) -> None:
    """One character changed, left out or added is noticed, wherever it is."""
    cursor = encode_cursor(BOUND, POSITION)
    place = data.draw(st.integers(0, len(cursor)))
    letters = st.characters(exclude_categories=["Cs"])
    damaged = data.draw(
        st.sampled_from(
            [
                cursor[:place],
                cursor[:place] + cursor[place + 1 :],
                cursor[:place] + data.draw(letters) + cursor[place:],
                cursor[:place] + data.draw(letters) + cursor[place + 1 :],
                cursor + "=",
                " " + cursor,
            ]
        ).filter(lambda text: text != cursor)
    )
    with pytest.raises(InvalidCursorError):
        decode_cursor(BOUND, damaged, KINDS)


@given(st.text() | st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Any other text, base64 or not."""
    with pytest.raises(InvalidCursorError):
        decode_cursor(BOUND, text, KINDS)


@pytest.mark.parametrize("cursor", [b"bytes", 1, 1.5, True, [], object()])
def test_a_cursor_is_text(cursor: Any) -> None:
    """Objects of other types are refused like damaged ones."""
    with pytest.raises(InvalidCursorError):
        decode_cursor(BOUND, cursor, KINDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.lists(JSON, max_size=3), st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
def test_a_forged_position_is_refused_or_of_the_right_types(
    values: list[Any], kinds: list[type[Any]]
) -> None:
    """The seal is no secret: behind it only values of the sort columns' types are taken."""
    try:
        found = decode_cursor(BOUND, encode_cursor(BOUND, values), kinds)
    except InvalidCursorError:
        return
    assert all(v is None or type(v) is kind for v, kind in zip(found, kinds, strict=True))


@pytest.mark.parametrize("body", ["[" * 100_000, "[1,[1e999]]", "[2,[1]]", "[1]", "1", "null", ""])
def test_a_forged_cursor_of_another_shape_is_refused(body: str) -> None:
    """Nothing that stands behind a right seal makes the decoder fail otherwise."""
    cursor = paging._opaque(paging._seal(BOUND, body), body)
    with pytest.raises(InvalidCursorError):
        decode_cursor(BOUND, cursor, [int])


def test_a_cursor_shows_its_version() -> None:
    """So that a later release knows those of this one."""
    padded = encode_cursor(BOUND, [1]) + "=="
    text = base64.urlsafe_b64decode(padded[: len(padded) // 4 * 4]).decode()

    assert json.loads(text[16:]) == [1, [1]]


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
async def test_a_forged_position_that_no_row_can_have_is_refused(
    system: UnitOfWork, value: int
) -> None:
    """A number beyond the column is no position, and no error of the database."""
    await stored(system, *"ab", price_cents=1)
    order = [BillingPlan.price_cents]
    repository = system.billing_plans
    seal = repository._seal((), order_of(BillingPlan, order), include_deleted=False)
    forged = encode_cursor(seal, [value, uuid4()])
    with pytest.raises((InvalidCursorError, InvalidValueError)):
        await repository.page(order=order, after=forged)


async def test_a_transcript_is_walked_in_both_directions(agentdb_uow: UnitOfWork) -> None:
    """Every message once, in order; the cursor ends exactly with the last."""
    await agentdb_uow.agent_conversations.get_or_create("k", "triage")
    messages = [NewMessage(role="user", content=str(n)) for n in range(7)]
    await agentdb_uow.agent_messages.append("k", messages)
    directions: tuple[Any, Any] = ("asc", "desc")
    for direction in directions:
        for limit in (1, 3, 6, 7, 8):
            found: list[int] = []
            cursor = None
            for _ in range(-(-7 // limit)):
                page = await agentdb_uow.agent_messages.transcript(
                    "k", direction=direction, after=cursor, limit=limit
                )
                found += [message.position for message in page]
                cursor = page.next_cursor
            assert cursor is None
            assert (found if direction == "asc" else found[::-1]) == [*range(7)]


async def test_a_cursor_of_a_transcript_belongs_to_it(agentdb_uow: UnitOfWork) -> None:
    """Another conversation, direction or visibility refuses it, as does the generic page."""
    messages = agentdb_uow.agent_messages
    for key in ("k", "other"):
        await agentdb_uow.agent_conversations.get_or_create(key, "triage")
        await messages.append(key, [NewMessage(role="user", content="x")] * 3)
    cursor = (await messages.transcript("k", limit=1)).next_cursor
    for page in (
        messages.transcript("other", after=cursor),
        messages.transcript("k", direction="desc", after=cursor),
        messages.transcript("k", visible_only=False, after=cursor),
        messages.page(after=cursor),
        messages.transcript("k", after="damaged"),
    ):
        with pytest.raises(InvalidCursorError):
            await page

    assert len(await messages.transcript("k", after=cursor)) == 2


async def test_the_rows_of_a_parent_are_walked_newest_first(
    system: UnitOfWork, parents: Rows
) -> None:
    """``for_<parent>`` shows rows of one instant once each, by descending key."""
    tenant = parents["tenant_accounts"].id
    rows = [row_of("activity_events", f"e{n}", parents) for n in range(9)]
    await system.activity_events.add_many(rows)
    await system.session.execute(update(ActivityEvent).values(created_at=INSTANT))
    expected = sorted((row.id for row in await system.activity_events.all()), reverse=True)
    found: list[UUID] = []
    cursor = None
    for _ in range(4):
        page = await system.activity_events.for_tenant(tenant, after=cursor, limit=3)
        found += [row.id for row in page]
        cursor = page.next_cursor

    assert cursor is None
    assert expected == found
    first = await system.activity_events.for_tenant(tenant, limit=3)
    with pytest.raises(InvalidCursorError):
        await system.activity_events.for_tenant(uuid4(), after=first.next_cursor)
