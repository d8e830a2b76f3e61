"""The log of what touched the security of users and tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.events import SecurityEventFields
from agentdb.auth.models import SecurityEvent
from agentdb.checks import check_fields
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository


class SecurityEventRepository(AppendOnlyRepository[SecurityEvent, UUID]):
    """The log of what touched the security of users and tenants.

    An event without a tenant belongs to system units; a tenant's unit neither records nor sees one.
    """

    model = SecurityEvent

    async def record(
        self,
        event_type: str,
        *,
        user_id: UUID | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[SecurityEventFields],
    ) -> SecurityEvent:
        """Record that something touched the security of a user or a tenant.

        Called in the unit of the change that it documents: both are stored, or neither.

        Args:
            event_type: What, for example ``password_change``; see `SecurityEventType`.
            user_id: Whose; in a tenant's unit a member of the tenant.
            tenant_id: The tenant, in a system unit; None there for none.
            now: The clock of the event.
            fields: Further columns of the row; metadata holds no secret.

        Raises:
            NotFoundError: There is no such user or tenant.
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, SecurityEventFields)
        row = SecurityEvent(
            event_type=event_type,
            user_id=user_id,
            tenant_id=self.unit.scope.filter(tenant_id),
            created_at=await self.unit.read_clock(now),
            **fields,
        )
        return await self.add(row)

    async def search(
        self,
        *,
        event_type: str | None = None,
        user_id: UUID | None = None,
        tenant_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[SecurityEvent]:
        """Return a page of events, newest first.

        Args:
            event_type: Of this type.
            user_id: Of this user.
            tenant_id: The tenant, in a system unit.
            after: Cursor of the page before; None starts.
            limit: Events of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        tenant = self.unit.scope.filter(tenant_id)
        where = [] if tenant is None else [SecurityEvent.tenant_id == tenant]
        where += [] if event_type is None else [SecurityEvent.event_type == event_type]
        where += [] if user_id is None else [SecurityEvent.user_id == user_id]
        return await self._newest(*where, after=after, limit=limit)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the user's security events, newest first."""
        return await self._newest(SecurityEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the tenant's security events, newest first."""
        return await self._newest(SecurityEvent.tenant_id == tenant_id, after=after, limit=limit)
