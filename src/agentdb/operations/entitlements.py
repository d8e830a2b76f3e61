"""What the operator lets a tenant use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from agentdb.activity.values import ActivityAction, ActivityObjectType, ActorType
from agentdb.errors import InvalidValueError
from agentdb.tenants.checks import check_flags, is_entitlement
from agentdb.tenants.models import TenantSettings
from agentdb.unit_of_work import UnitOfWork


async def set_entitlements(
    uow: UnitOfWork,
    flags: Mapping[str, bool | None],
    *,
    actor: UUID | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> TenantSettings:
    """Set and remove entitlements of a tenant, record it in its activity, return its settings.

    All or nothing. N concurrent calls follow each other, so that none undoes what another sets.
    Whether the caller may do this is the host's to decide.

    Args:
        uow: A unit of work.
        flags: Entitlements by name, each beginning with ``feature.``; None removes one.
        actor: The user who sets them; None for the system.
        tenant_id: The tenant, in a system unit.
        now: The clock of the change.

    Raises:
        NotFoundError: There is no such tenant.
        InvalidValueError: A name is none of an entitlement, or a value is neither true, false nor
            None.
    """
    check_flags(flags, entitlements=True, removing=True)
    if not all(map(is_entitlement, flags)):
        message = "the name of an entitlement begins with feature."
        raise InvalidValueError(message, table="tenant_settings", column="flags_json")
    tenant = uow.scope.owner(tenant_id)
    # The settings come last: what they tell is not undone with the savepoint.
    async with uow.savepoint():
        await uow.activity_events.record(
            ActivityAction.TENANT_ACCOUNT_UPDATED,
            actor_id=actor,
            actor_type=ActorType.SYSTEM if actor is None else ActorType.USER,
            object_type=ActivityObjectType.TENANT,
            object_id=str(tenant),
            metadata_json={"entitlements": dict(flags)},
            tenant_id=tenant,
            now=now,
        )
        return await uow.tenant_settings.patch_flags(
            flags, entitlements=True, tenant_id=tenant, now=now
        )
