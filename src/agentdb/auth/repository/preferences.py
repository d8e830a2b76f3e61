"""Which notices users want, in one tenant or in all."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select

from agentdb.auth.models import UserNotificationPreference
from agentdb.driver_errors import orm_errors
from agentdb.paging import Page
from agentdb.repository import Repository

_GENERAL = "uq_user_notification_preferences_null_tenant"
_OF_TENANT = "uq_user_notification_preferences_scope"


class UserNotificationPreferenceRepository(Repository[UserNotificationPreference, UUID]):
    """Which notices users want, in one tenant or in all."""

    model = UserNotificationPreference

    async def put(
        self,
        user_id: UUID,
        channel: str,
        category: str,
        enabled: bool,  # noqa: FBT001 -- the value that is put
        tenant_id: UUID | None,
        *,
        now: datetime | None = None,
    ) -> UserNotificationPreference:
        """Set whether a user wants a category of notices on a channel, and return the row.

        N concurrent calls all succeed and leave one row, with a tenant and without one.

        Args:
            user_id: The user; in a tenant's unit a member of the tenant.
            channel: How, for example ``email``.
            category: About what, for example ``alerts``.
            enabled: Whether the user wants them.
            tenant_id: In this tenant; None, in a system unit, wherever a tenant has no row.
            now: The clock of the choice.

        Raises:
            NotFoundError: There is no such user or tenant.
            TenantMismatchError: The unit belongs to a tenant, and another or none is given.
            InvalidValueError: A column refuses its value.
        """
        at = self.unit.now(now)
        row = {
            "user_id": user_id,
            "tenant_id": tenant_id,
            "channel": channel,
            "category": category,
            "enabled": enabled,
            "created_at": at,
            "updated_at": at,
        }
        key = _GENERAL if tenant_id is None else _OF_TENANT
        stored, _ = await self.upsert(row, key, update=["enabled"])
        return stored

    async def effective(
        self, user_id: UUID, *, tenant_id: UUID | None = None
    ) -> dict[tuple[str, str], bool]:
        """Return what a user wants, by channel and category; those without a choice are left out.

        A choice in the tenant goes before one that holds everywhere. One statement.

        Args:
            user_id: The user.
            tenant_id: The tenant, in a system unit; None there for the choices that hold
                everywhere.
        """
        row = UserNotificationPreference
        tenant = self.unit.scope.filter(tenant_id)
        # The choices of the tenant come last, and so replace the others.
        query = (
            select(row.channel, row.category, row.enabled)
            .where(row.user_id == user_id, or_(row.tenant_id.is_(None), row.tenant_id == tenant))
            .order_by(row.tenant_id.is_not(None))
        )
        with orm_errors():
            found = await self.unit.session.execute(query)
        return {(channel, category): enabled for channel, category, enabled in found}

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the user's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.user_id == user_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the tenant's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.tenant_id == tenant_id, after=after, limit=limit
        )
