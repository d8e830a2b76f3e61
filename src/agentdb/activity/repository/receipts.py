"""Who has read or dismissed which event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects import postgresql, sqlite

from agentdb.activity.models import ActivityEventReceipt
from agentdb.activity.reading import Reader, events, receipts
from agentdb.checks import check_values
from agentdb.driver_errors import orm_errors
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenancy import CONFINED, Write
from agentdb.tenancy.guard import KEYS_PER_STATEMENT
from agentdb.types import Uuid, uuid_pk

_KEY = ("tenant_id", "user_id", "event_id")


class ActivityEventReceiptRepository(Repository[ActivityEventReceipt, UUID]):
    """Who has read or dismissed which event."""

    model = ActivityEventReceipt

    async def mark(
        self,
        event_id: UUID,
        user_id: UUID,
        status: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> ActivityEventReceipt:
        """Note what a member has done with an event, which outweighs the member's checkpoint.

        Race-safe: N concurrent calls all succeed and leave one receipt, that of the last.

        Args:
            event_id: An event of the tenant.
            user_id: A member of the tenant.
            status: A `ReceiptStatus`.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The tenant has no such event or member.
            InvalidValueError: The status is none.
        """
        at = self.unit.now(now)
        key = (self.unit.scope.owner(tenant_id), user_id, event_id)
        row = {**dict(zip(_KEY, key, strict=True)), "status": status}
        stamps = {"created_at": at, "updated_at": at}
        stored, _ = await self.upsert({**row, **stamps}, _KEY, update=["status"])
        return stored

    async def mark_all(
        self,
        event_ids: Iterable[UUID],
        user_id: UUID,
        status: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> int:
        """Note what a member has done with several events: all or none, in few statements.

        Race-safe as `mark`, and concurrent calls do not wait for each other in a circle.

        Args:
            event_ids: Events of the tenant.
            user_id: A member of the tenant.
            status: A `ReceiptStatus`.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Returns:
            How many events had no receipt, or one of another status.

        Raises:
            NotFoundError: The tenant has no such event or member.
            InvalidValueError: The status is none, or an id is.
        """
        owner = {"tenant_id": self.unit.scope.owner(tenant_id), "user_id": user_id}
        found = sorted({Uuid().check(key) for key in check_values(event_ids, "ids")})
        rows = [{**owner, "event_id": event, "status": status} for event in found]
        if not rows:
            return 0
        async with self.unit.savepoint():
            await self.unit.check(*(Write(self.model, row) for row in rows))
            changed = await self._put([{"id": uuid_pk(), **row} for row in rows], now)
        for key in changed:
            await self.unit.refresh(self.model, key)
        return len(changed)

    async def states(
        self, user_id: UUID, event_ids: Iterable[UUID], *, tenant_id: UUID | None = None
    ) -> dict[UUID, str]:
        """Return what events are to a member, by their ids: a `ReceiptStatus` each.

        Those that the tenant does not have are left out. One statement for 5,000 events.

        Args:
            user_id: A member of the tenant.
            event_ids: Events.
            tenant_id: The tenant, in a system unit.

        Raises:
            InvalidValueError: An id is none.
        """
        query = Reader(self.unit.scope.owner(tenant_id), user_id).states()
        ids = [Uuid().check(key) for key in check_values(event_ids, "ids")]
        wanted = list(dict.fromkeys(ids))
        found: dict[UUID, str] = {}
        for start in range(0, len(wanted), KEYS_PER_STATEMENT):
            chunk = wanted[start : start + KEYS_PER_STATEMENT]
            rows = await self.unit.execute(query.where(events.c.id.in_(chunk)))
            found.update({row.id: row.state for row in rows})
        return found

    async def _put(self, rows: Sequence[dict[str, Any]], now: datetime | None) -> list[UUID]:
        """Insert receipts or change present ones, and return the ids of those."""
        at = self.unit.now(now)
        insert = (postgresql if self.unit.is_postgresql else sqlite).insert(receipts)
        statement = insert.values(created_at=at, updated_at=at)
        new = statement.excluded
        put = statement.on_conflict_do_update(
            index_elements=[receipts.c[name] for name in _KEY],
            set_={"status": new.status, "updated_at": new.updated_at},
            where=receipts.c.status != new.status,
        )
        options = {CONFINED: True}
        with orm_errors():
            changed = await self.unit.session.execute(
                put.returning(receipts.c.id), rows, execution_options=options
            )
        return list(changed.scalars())

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the tenant's receipts, newest first."""
        return await self._newest(
            ActivityEventReceipt.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the user's receipts, newest first."""
        return await self._newest(ActivityEventReceipt.user_id == user_id, after=after, limit=limit)

    async def for_event(
        self, event_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityEventReceipt]:
        """Return a page of the event's receipts, newest first."""
        return await self._newest(
            ActivityEventReceipt.event_id == event_id, after=after, limit=limit
        )
