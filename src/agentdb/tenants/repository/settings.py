"""Settings of tenants, one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import Unpack

from agentdb.checks import check_count, check_fields
from agentdb.errors import StaleVersionError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenants.checks import check_flags, check_webhook, checked_contacts, is_entitlement
from agentdb.tenants.models import TenantSettings
from agentdb.tenants.rows import SettingsFields
from agentdb.types import JsonObject


class TenantSettingsRepository(Repository[TenantSettings, UUID]):
    """Settings of tenants, one row each, made by the first write.

    `put` and `patch_flags` follow each other on one tenant, the first writes too: each decides on
    what the one before has committed, and counts the version up by one.
    """

    model = TenantSettings

    async def get_or_default(self, *, tenant_id: UUID | None = None) -> TenantSettings:
        """Return the tenant's settings; where there are none, empty ones of version 0.

        The empty ones are not stored, and do not become part of the unit.

        Args:
            tenant_id: The tenant, in a system unit.
        """
        tenant = self.unit.scope.owner(tenant_id)
        return await self.by_tenant_id(tenant) or TenantSettings(tenant_id=tenant, version=0)

    async def put(
        self,
        *,
        expected_version: int | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[SettingsFields],
    ) -> TenantSettings:
        """Set what is given, and return the settings.

        Args:
            expected_version: The version that the caller has read, 0 where there was no row; None
                writes over any.
            tenant_id: The tenant, in a system unit.
            now: The clock of the write.
            fields: What to set; see `SettingsFields`.

        Raises:
            StaleVersionError: Somebody else has written since the expected version.
            InvalidValueError: A contact, the address, a flag, a column or the version is refused.
            PermissionDeniedError: There is an entitlement among the flags.
            NotFoundError: There is no such tenant.
        """
        check_fields(fields, SettingsFields)
        _check_version(expected_version)
        tenant = self.unit.scope.owner(tenant_id)
        values, flags = _columns(fields), fields.get("flags")

        def change(present: JsonObject) -> dict[str, Any]:
            if flags is None:
                return values
            kept = {key: value for key, value in present.items() if is_entitlement(key)}
            return {**values, "flags_json": {**kept, **flags}}

        return await self._put(tenant, change, expected_version, now)

    async def patch_flags(
        self,
        flags: Mapping[str, bool | None],
        *,
        expected_version: int | None = None,
        entitlements: bool = False,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> TenantSettings:
        """Set and remove flags, leave the others, and return the settings.

        Args:
            flags: Switches by name; None removes one.
            expected_version: As of `put`.
            entitlements: Whether entitlements may be among them: the caller vouches for the
                operator.
            tenant_id: The tenant, in a system unit.
            now: The clock of the write.

        Raises:
            StaleVersionError: Somebody else has written since the expected version.
            InvalidValueError: A name is empty, a value is neither true, false nor None, or the
                version is none.
            PermissionDeniedError: There is an entitlement among them, unasked.
            NotFoundError: There is no such tenant.
        """
        tenant = self.unit.scope.owner(tenant_id)
        _check_version(expected_version)
        check_flags(flags, entitlements=entitlements, removing=True)

        def change(present: JsonObject) -> dict[str, Any]:
            merged = {**present, **flags}
            return {
                "flags_json": {key: value for key, value in merged.items() if value is not None}
            }

        return await self._put(tenant, change, expected_version, now)

    async def _put(
        self,
        tenant: UUID,
        change: Callable[[JsonObject], dict[str, Any]],
        expected: int | None,
        now: datetime | None,
    ) -> TenantSettings:
        """Write what *change* makes of the present flags, under the lock of the row."""
        while True:
            present = await self._locked(tenant)
            version = 0 if present is None else present.version
            if expected not in {None, version}:
                raise StaleVersionError("the settings of the tenant have another version")
            at = self.unit.now(now)
            if present is not None:
                values = change(present.flags_json)
                return await self.update(present.id, **values, version=version + 1, updated_at=at)
            stamps = {"version": 1, "created_at": at, "updated_at": at}
            row = {"tenant_id": tenant, **change({}), **stamps}
            made, created = await self.upsert(row, ["tenant_id"], update=())
            if created:
                return made

    async def _locked(self, tenant: UUID) -> TenantSettings | None:
        query = self._select(TenantSettings.tenant_id == tenant).with_for_update(key_share=True)
        return (await self._entities(query)).one_or_none()

    async def by_tenant_id(self, tenant_id: UUID) -> TenantSettings | None:
        """Return the tenant's settings, if any."""
        return await self._by(TenantSettings.tenant_id, tenant_id)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSettings]:
        """Return a page with the tenant's settings alone."""
        return await self._newest(TenantSettings.tenant_id == tenant_id, after=after, limit=limit)


def _check_version(expected: int | None) -> None:
    if expected is not None:
        check_count(expected, "a version", least=0)


def _columns(fields: SettingsFields) -> dict[str, Any]:
    """Return what a write sets but for the flags, checked."""
    values: dict[str, Any] = {}
    if "billing_contacts" in fields:
        values["billing_contacts_json"] = checked_contacts(fields["billing_contacts"])
    if "billing_webhook_url" in fields:
        values["billing_webhook_url"] = check_webhook(fields["billing_webhook_url"])
    if "plan_metadata" in fields:
        values["plan_metadata_json"] = fields["plan_metadata"]
    if "flags" in fields:
        check_flags(fields["flags"], entitlements=False, removing=False)
    return values
