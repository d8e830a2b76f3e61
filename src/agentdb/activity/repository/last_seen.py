"""How far users have read the activity of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.activity.models import ActivityLastSeen
from agentdb.activity.reading import UNREAD_CAP, Reader, checkpoints
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenancy import CONFINED, Write


class ActivityLastSeenRepository(Repository[ActivityLastSeen, UUID]):
    """How far users have read the activity of a tenant."""

    model = ActivityLastSeen
    newest = "last_seen_created_at"

    async def advance(
        self,
        user_id: UUID,
        created_at: datetime,
        *,
        event_id: UUID | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> ActivityLastSeen:
        """Note how far a member has read, and return the checkpoint.

        Race-safe: N concurrent calls all succeed and leave one row, that of the latest event. It
        never moves back in the order of stamp and id.

        Args:
            user_id: A member of the tenant.
            created_at: The stamp of the last event that was read.
            event_id: Its id, to tell it from others of that instant; it may be purged by now.
                Without one, all events of the instant count as read.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The tenant has no such member.
            NaiveDatetimeError: An instant has no time zone.
        """
        owner = {"tenant_id": self.unit.scope.owner(tenant_id), "user_id": user_id}
        place = {"last_seen_created_at": created_at, "last_seen_event_id": event_id}
        async with self.unit.savepoint():
            await self.unit.check(Write(self.model, owner))
            row = await self._put({**owner, **place, "updated_at": self.unit.now(now)})
        if row is not None:
            return row
        return await self.one(*(getattr(self.model, name) == owner[name] for name in owner))

    async def count_unread(
        self, user_id: UUID, *, cap: int = UNREAD_CAP, tenant_id: UUID | None = None
    ) -> int:
        """Return how many events are unread to a member, at most *cap*; one statement.

        The work is bounded, however many events there are: of those behind the checkpoint the
        newest are looked at, ten times the cap. An unread one with more than those read one by one
        after it is not counted, unless a receipt says that it is unread.

        Args:
            user_id: A member of the tenant.
            cap: What stands for that many or more.
            tenant_id: The tenant, in a system unit.

        Raises:
            InvalidValueError: The cap is no whole number from 1.
        """
        reader = Reader(self.unit.scope.owner(tenant_id), user_id)
        unread: int = (await self.unit.execute(select(reader.unread(cap)))).scalar_one()
        return min(unread, cap)

    async def _put(self, values: Mapping[str, Any]) -> ActivityLastSeen | None:
        """Insert a checkpoint, or move the present one; None if that would move it back."""
        insert = (postgresql if self.unit.is_postgresql else sqlite).insert(self.model)
        statement = insert.values(**values)
        moved = ("last_seen_created_at", "last_seen_event_id", "updated_at")
        put = statement.on_conflict_do_update(
            index_elements=[checkpoints.c.tenant_id, checkpoints.c.user_id],
            set_={name: statement.excluded[name] for name in moved},
            where=_later(statement.excluded, checkpoints.c),
        )
        found = await self._write(put.returning(self.model), CONFINED)
        row: ActivityLastSeen | None = found.scalar_one_or_none()
        return row

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityLastSeen]:
        """Return a page of the tenant's checkpoints, newest first."""
        return await self._newest(ActivityLastSeen.tenant_id == tenant_id, after=after, limit=limit)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ActivityLastSeen]:
        """Return a page of the user's checkpoints, newest first."""
        return await self._newest(ActivityLastSeen.user_id == user_id, after=after, limit=limit)


def _later(new: Any, present: Any) -> ColumnElement[bool]:
    """Return whether a place comes after the present one; without an event it ends its instant."""
    event, last = new.last_seen_event_id, present.last_seen_event_id
    after = and_(last.is_not(None), or_(event.is_(None), event > last))
    same = new.last_seen_created_at == present.last_seen_created_at
    return or_(new.last_seen_created_at > present.last_seen_created_at, and_(same, after))
