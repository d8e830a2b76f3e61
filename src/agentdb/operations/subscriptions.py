"""The life of a subscription: started by the host or told by a processor, and cancelled.

Each function locks the tenant first, so that at most one subscription of it is current.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import Unpack

from agentdb.billing.checks import subscription_columns
from agentdb.billing.entities import with_plan
from agentdb.billing.metadata import (
    PROCESSOR_KEYS,
    instant_of,
    instant_text,
    with_keys,
    without_pending,
)
from agentdb.billing.models import BillingPlan, TenantSubscription
from agentdb.billing.rows import AppliedSnapshot, SnapshotFields, SubscriptionFields
from agentdb.billing.subscribing import (
    lock_tenant,
    refuse_second,
    require_plan,
    store_subscription,
)
from agentdb.billing.values import (
    ENDED_SUBSCRIPTION_STATUSES,
    SubscriptionMetadataKey,
    TenantSubscriptionStatus,
)
from agentdb.checks import check_fields
from agentdb.errors import InvalidValueError
from agentdb.types import JsonObject, UTCDateTime
from agentdb.unit_of_work import UnitOfWork

_EVENT_AT = SubscriptionMetadataKey.PROCESSOR_EVENT_AT


async def start_subscription(
    uow: UnitOfWork,
    plan_code: str,
    *,
    status: str = TenantSubscriptionStatus.ACTIVE,
    processor: str | None = None,
    processor_subscription_id: str | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
    **fields: Unpack[SubscriptionFields],
) -> TenantSubscription:
    """Subscribe a tenant to a plan of the catalogue.

    Of N concurrent calls one starts a subscription. The others find it by the processor's id and
    return it as it is, whatever has become of it; without that id they are refused.

    Args:
        uow: A unit of work.
        plan_code: The plan; one that was deactivated takes no new subscriptions.
        status: A state that is current.
        processor: The payment processor, if there is one.
        processor_subscription_id: Its id for the subscription.
        tenant_id: The tenant, in a system unit.
        now: The clock of the start.
        fields: Further columns; ``starts_at`` is the clock's unless given.

    Returns:
        The subscription, with its plan.

    Raises:
        ConflictError: Another subscription of the tenant is current.
        NotFoundError: There is no such plan or tenant.
        InvalidTransitionError: The plan is not active.
        InvalidValueError: The state is an ending one, a processor's id comes without a processor,
            or a value is refused.
    """
    check_fields(fields, SubscriptionFields)
    identity = {"processor": processor, "processor_subscription_id": processor_subscription_id}
    columns = subscription_columns({**identity, "status": status, **fields})
    if status in ENDED_SUBSCRIPTION_STATUSES:
        raise InvalidValueError("a subscription does not start with its end")
    if processor is None and processor_subscription_id is not None:
        raise InvalidValueError("the id of a processor comes with its name")
    tenant = await lock_tenant(uow, tenant_id)
    if processor is not None and processor_subscription_id is not None:
        known = await uow.tenant_subscriptions.by_processor_id(
            processor, processor_subscription_id, tenant_id=tenant
        )
        if known is not None:
            return known
    await refuse_second(uow, tenant)
    plan = await require_plan(uow, plan_code, active=True)
    start = {"tenant_id": tenant, "starts_at": await uow.read_clock(now)}
    return await store_subscription(uow, plan, {**start, **columns})


async def apply_subscription_snapshot(
    uow: UnitOfWork,
    processor: str,
    processor_subscription_id: str,
    plan_code: str,
    status: str,
    *,
    event_at: datetime,
    tenant_id: UUID | None = None,
    **fields: Unpack[SnapshotFields],
) -> AppliedSnapshot:
    """Store what a processor tells of a subscription, new or known.

    N concurrent calls all succeed and leave one row. Snapshots may come in any order and again:
    one that is older than the last applied one changes nothing, so that in the end the latest
    stands. What it lacks stays as it is. A pending change of the plan goes when the plan is
    reached.

    Args:
        uow: A unit of work.
        processor: The payment processor.
        processor_subscription_id: Its id for the subscription.
        plan_code: The plan, active or not.
        status: The state, ending ones included.
        event_at: When the processor saw it so; of two with one instant, the later call stands.
        tenant_id: The tenant, in a system unit.
        fields: Further columns, and keys of the metadata; None removes a key.

    Raises:
        ConflictError: Another subscription of the tenant is current: end it first, with the
            snapshot of its end or with `cancel_subscription`.
        NotFoundError: There is no such plan or tenant.
        InvalidValueError: A value is refused.
    """
    check_fields(fields, SnapshotFields)
    given: dict[str, Any] = dict(fields)
    keys = {str(key): given.pop(key) for key in PROCESSOR_KEYS if key in given}
    identity = {"processor": processor, "processor_subscription_id": processor_subscription_id}
    told = subscription_columns({**identity, "status": status, **given})
    at = UTCDateTime().check(event_at)
    tenant = await lock_tenant(uow, tenant_id)
    row = await uow.tenant_subscriptions.by_processor_id(
        processor, processor_subscription_id, lock=True, tenant_id=tenant
    )
    if row is not None and _is_newer(row, at):
        return AppliedSnapshot(row, applied=False)
    if _becomes_current(row, status):
        await refuse_second(uow, tenant)
    present = row.plan if row else None
    if present is not None and present.code == plan_code:
        plan = present
    else:
        plan = await require_plan(uow, plan_code)
    told["metadata_json"] = _told_metadata(row, plan, {**keys, _EVENT_AT: instant_text(at)})
    if row is None:
        new = {"tenant_id": tenant, "starts_at": at}
        return AppliedSnapshot(await store_subscription(uow, plan, {**new, **told}), applied=True)
    changed = await uow.tenant_subscriptions.update(row.id, plan_id=plan.id, **told)
    return AppliedSnapshot(with_plan(changed, plan), applied=True)


def _is_newer(row: TenantSubscription, at: datetime) -> bool:
    """Return whether a subscription is as a later snapshot left it."""
    known = instant_of((row.metadata_json or {}).get(_EVENT_AT))
    return known is not None and at < known


def _becomes_current(row: TenantSubscription | None, status: str) -> bool:
    ended = row is None or row.status in ENDED_SUBSCRIPTION_STATUSES
    return ended and status not in ENDED_SUBSCRIPTION_STATUSES


def _told_metadata(
    row: TenantSubscription | None, plan: BillingPlan, keys: Mapping[str, Any]
) -> JsonObject | None:
    """Return the metadata after a snapshot; a pending change goes once its plan is reached."""
    metadata = row.metadata_json if row else None
    if metadata and metadata.get(SubscriptionMetadataKey.PENDING_PLAN_CODE) == plan.code:
        metadata = without_pending(metadata)
    return with_keys(metadata, keys)


async def cancel_subscription(
    uow: UnitOfWork,
    *,
    at_period_end: bool = True,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> bool:
    """Cancel the current subscription of a tenant, and its pending change of the plan.

    At the end of the period it is not renewed and ``cancel_at`` says when it will end; it stays
    current until the processor tells so, or until it is cancelled at once.

    Args:
        uow: A unit of work.
        at_period_end: Let the period run out; where none is under way, the end is now.
        tenant_id: The tenant, in a system unit.
        now: The clock of the end.

    Returns:
        False if there was nothing to cancel: no subscription is current, or it will end already.

    Raises:
        NotFoundError: There is no such tenant.
    """
    tenant = await lock_tenant(uow, tenant_id)
    row = await uow.tenant_subscriptions.current(lock=True, tenant_id=tenant)
    if row is None:
        return False
    at, end = await uow.read_clock(now), row.current_period_end
    later = at_period_end and end is not None and end > at
    if later and row.cancel_at is not None:
        return False
    values: dict[str, Any] = {"auto_renew": False, "cancel_at": end if later else at}
    values |= {} if later else {"status": TenantSubscriptionStatus.CANCELED}
    metadata = without_pending(row.metadata_json)
    await uow.tenant_subscriptions.update(row.id, metadata_json=metadata, **values)
    return True
