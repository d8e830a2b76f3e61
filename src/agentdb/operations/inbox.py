"""A member's inbox: the activity of a tenant, with what the member has read of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true, update
from sqlalchemy.orm import aliased
from typing_extensions import Unpack

from agentdb.activity.filters import matching
from agentdb.activity.models import ActivityEvent, ActivityEventReceipt, ActivityLastSeen
from agentdb.activity.reading import UNREAD_CAP, Query, Reader, events, receipts
from agentdb.activity.rows import ActivityFilters, InboxItem, InboxPage
from agentdb.activity.values import ReceiptStatus
from agentdb.checks import check_fields
from agentdb.paging import check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository.order import order_of
from agentdb.repository.skipping import among
from agentdb.unit_of_work import UnitOfWork

_NEWEST = order_of(ActivityEvent, [ActivityEvent.created_at.desc()])


async def inbox(
    uow: UnitOfWork,
    user_id: UUID,
    *,
    include_dismissed: bool = False,
    after: str | None = None,
    limit: int = 50,
    tenant_id: UUID | None = None,
    **filters: Unpack[ActivityFilters],
) -> InboxPage:
    """Return a page of a member's inbox, newest first, and how much of it is unread.

    One statement, so that all of it is of one instant. The state of an event is that of the
    member's receipt; without one it is read at or before the checkpoint, else unread.

    Args:
        uow: A unit of work.
        user_id: A member of the tenant.
        include_dismissed: Show dismissed events too.
        after: Cursor of the page before; None starts.
        limit: Events of a page, 1 to 500.
        tenant_id: The tenant, in a system unit.
        filters: Which events; they do not change the count.

    Raises:
        InvalidCursorError: The cursor is damaged or of another query.
        InvalidValueError: The limit is none.
        NaiveDatetimeError: An instant has no time zone.
    """
    check_fields(filters, ActivityFilters)
    check_limit(limit)
    reader, where = Reader(uow.scope.owner(tenant_id), user_id), matching(filters)
    seal = fingerprint(where, "inbox", reader.tenant, user_id, include_dismissed)
    place = None if after is None else decode_cursor(seal, after, _NEWEST.kinds)
    shown = _events(reader, include_dismissed=include_dismissed).where(*where)
    if place is not None:
        shown = shown.where(_NEWEST.after(place))
    rows = (await uow.execute(_with_totals(reader, shown.limit(limit + 1)))).all()
    items = [InboxItem(row.ActivityEvent, row.state) for row in rows if row.ActivityEvent]
    cursor = (
        encode_cursor(seal, _NEWEST.position(items[limit - 1].event)) if items[limit:] else None
    )
    first = rows[0]
    unread = min(first.unread, UNREAD_CAP)
    return InboxPage(tuple(items[:limit]), cursor, unread, first.ActivityLastSeen)


async def mark_all_read(
    uow: UnitOfWork,
    user_id: UUID,
    *,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> ActivityLastSeen | None:
    """Mark as read all that a member can see, and return the checkpoint; None if nothing happened.

    The checkpoint moves to the newest event that this unit sees, not to the clock: what is recorded
    meanwhile stays unread. Up to that event, what was marked as unread becomes read, and what was
    dismissed stays so.

    Args:
        uow: A unit of work.
        user_id: A member of the tenant.
        tenant_id: The tenant, in a system unit.
        now: The clock of the change.

    Raises:
        NotFoundError: The tenant has no such member.
    """
    reader = Reader(uow.scope.owner(tenant_id), user_id)
    mine = ActivityEvent.tenant_id == reader.tenant
    order = [ActivityEvent.created_at.desc()]
    newest: Sequence[ActivityEvent] = await uow.activity_events.all(mine, order=order, limit=1)
    if not newest:
        return await uow.activity_last_seen.find(reader.checkpoint())
    (last,) = newest
    checkpoint = await uow.activity_last_seen.advance(
        user_id, last.created_at, event_id=last.id, tenant_id=reader.tenant, now=now
    )
    await _mark_read(uow, reader.explicitly_unread(last), now)
    return checkpoint


async def _mark_read(uow: UnitOfWork, found: Query, now: datetime | None) -> None:
    chosen = among(receipts.c.id, found, postgresql=uow.is_postgresql)
    values = {"status": ReceiptStatus.READ, "updated_at": uow.now(now)}
    changed = update(receipts).where(chosen).values(**values).returning(receipts.c.id)
    for key in (await uow.execute(changed)).scalars().all():
        await uow.refresh(ActivityEventReceipt, key)


def _events(reader: Reader, *, include_dismissed: bool) -> Query:
    """Select the tenant's events, each with its state."""
    state = reader.state(events.c)
    query: Query = select(ActivityEvent, state.label("state"))
    query = query.where(ActivityEvent.tenant_id == reader.tenant).order_by(*_NEWEST.by())
    return query if include_dismissed else query.where(state != ReceiptStatus.DISMISSED)


def _with_totals(reader: Reader, shown: Query) -> Query:
    """Put the count and the checkpoint before each event, or alone where there is none."""
    found = shown.subquery("shown")
    event = aliased(ActivityEvent, found, name="ActivityEvent")
    total = select(reader.unread(UNREAD_CAP).label("unread")).subquery("total")
    query = select(total.c.unread, ActivityLastSeen, event, found.c.state).select_from(total)
    query = query.outerjoin(ActivityLastSeen, reader.checkpoint()).outerjoin(event, true())
    return query.order_by(found.c.created_at.desc(), found.c.id.desc()).execution_options(
        populate_existing=True
    )
