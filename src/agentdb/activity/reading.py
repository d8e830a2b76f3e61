"""What a member has read: the one definition of an event's state, for lists and for counts."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    String,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from agentdb.activity.models import ActivityEvent, ActivityEventReceipt, ActivityLastSeen
from agentdb.activity.values import ReceiptStatus
from agentdb.checks import MOST, check_count
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime
from agentdb.types.time import EARLIEST

events: Any = table_of(ActivityEvent)
receipts: Any = table_of(ActivityEventReceipt)
checkpoints: Any = table_of(ActivityLastSeen)

Query: TypeAlias = Select[*tuple[Any, ...]]

_ROW = literal_column("1", Integer())

UNREAD_CAP = 1000
"""Up to how many unread events are counted."""

LOOKED_AT = 10
"""How many events a count looks at for each that it may count, however many were read one by one
behind the checkpoint."""


class Reader:
    """A member whose receipts and checkpoint tell what is read.

    The state of an event is that of the member's receipt; without one it is read at or before the
    member's checkpoint, else unread. The statements name the tenant themselves.

    Attributes:
        tenant: The tenant.
        user: The member.
    """

    def __init__(self, tenant: UUID, user: UUID) -> None:
        self.tenant = tenant
        self.user = user
        place = select(checkpoints.c.last_seen_created_at, checkpoints.c.last_seen_event_id)
        # A common table expression is read once, however often a statement names it.
        self._place = place.where(self.checkpoint()).cte("checkpoint")

    def checkpoint(self) -> ColumnElement[bool]:
        """Return the condition that a checkpoint is the member's."""
        return and_(*self._owns(checkpoints.c))

    def state(self, event: Any) -> ColumnElement[str]:
        """Return the state of an event, by its columns."""
        read, unread = (
            literal(state, String()) for state in (ReceiptStatus.READ, ReceiptStatus.UNREAD)
        )
        return func.coalesce(self._receipt(event), case((self._seen(event), read), else_=unread))

    def states(self) -> Query:
        """Select the ids of the tenant's events, each with its state."""
        query = select(events.c.id, self.state(events.c).label("state"))
        return query.where(events.c.tenant_id == self.tenant)

    def unread(self, cap: int) -> ColumnElement[int]:
        """Count unread events; exact up to *cap*, above it some number that is not below it.

        They are those behind the checkpoint without a receipt, and those with a receipt that says
        so: each part follows an index and ends at *cap*. Of the events behind the checkpoint the
        newest are looked at, `LOOKED_AT` times the cap.

        Raises:
            InvalidValueError: The cap is no whole number from 1.
        """
        check_count(cap, "a cap", most=MOST // LOOKED_AT)
        marked = select(_ROW).where(*self._owns(receipts.c), _is_unread())
        return _count(self._unmarked(cap)) + _count(marked.limit(cap))

    def explicitly_unread(self, last: ActivityEvent) -> Query:
        """Select the receipts that say unread of events up to *last*, and lock them in order."""
        before = or_(
            events.c.created_at < last.created_at,
            and_(events.c.created_at == last.created_at, events.c.id <= last.id),
        )
        joined = receipts.join(events, events.c.id == receipts.c.event_id)
        query = select(receipts.c.id).select_from(joined)
        query = query.where(*self._owns(receipts.c), _is_unread(), before)
        return query.order_by(receipts.c.event_id).with_for_update(of=receipts)

    def _unmarked(self, cap: int) -> Query:
        since = func.coalesce(self._last_seen("created_at"), literal(EARLIEST, UTCDateTime()))
        window = (
            select(events.c.id, events.c.created_at)
            .where(events.c.tenant_id == self.tenant, events.c.created_at >= since)
            .order_by(events.c.created_at.desc())
            .limit(cap * LOOKED_AT)
            .subquery("looked_at")
        )
        query = select(_ROW).select_from(window)
        return query.where(self._receipt(window.c).is_(None), ~self._seen(window.c)).limit(cap)

    def _receipt(self, event: Any) -> ScalarSelect[str]:
        """Return the member's receipt of an event; NULL without one.

        A subquery for the row: joined, PostgreSQL might read all receipts of the member instead.
        """
        query = select(receipts.c.status).where(*self._owns(receipts.c))
        return query.where(receipts.c.event_id == event.id).scalar_subquery()

    def _seen(self, event: Any) -> ColumnElement[bool]:
        """Return whether an event is at or before the checkpoint: false where there is none.

        A checkpoint without an event is at the end of its instant.
        """
        at, last = self._last_seen("created_at"), self._last_seen("event_id")
        within = or_(last.is_(None), event.id <= last)
        before = or_(event.created_at < at, and_(event.created_at == at, within))
        return func.coalesce(before, false())

    def _last_seen(self, name: str) -> ScalarSelect[Any]:
        return select(self._place.c[f"last_seen_{name}"]).scalar_subquery()

    def _owns(self, columns: Any) -> list[ColumnElement[bool]]:
        return [columns.tenant_id == self.tenant, columns.user_id == self.user]


def _is_unread() -> ColumnElement[bool]:
    unread: ColumnElement[bool] = receipts.c.status == ReceiptStatus.UNREAD
    return unread


def _count(found: Query) -> ScalarSelect[int]:
    return select(func.count()).select_from(found.subquery()).scalar_subquery()
