"""Maintenance of subscriptions: changes of the plan that wait for the end of a period."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import URL, ColumnElement, Select, collate, literal, select
from typing_extensions import Unpack, override

from agentdb.billing.metadata import instant_text, without_pending
from agentdb.billing.models import BillingPlan, TenantSubscription
from agentdb.billing.statements import NOT_ENDED
from agentdb.billing.values import SubscriptionMetadataKey
from agentdb.database import Database
from agentdb.maintenance.aged import count_rows, own
from agentdb.maintenance.runner import Batch, Counted, PlanOptions, Report, Sweep, cutoff, run_aged
from agentdb.types import Text
from agentdb.unit_of_work import UnitOfWork

_CODE = SubscriptionMetadataKey.PENDING_PLAN_CODE
_EFFECTIVE_AT = SubscriptionMetadataKey.PENDING_PLAN_EFFECTIVE_AT
_SEATS = SubscriptionMetadataKey.PENDING_SEAT_COUNT

_TO = BillingPlan.id.label("to")

_WRITTEN = "____-__-__T__:__:__.______+00:00"
"""The pattern of an instant as `change_plan` writes it, in which text sorts as time."""


async def apply_pending_plans(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Move current subscriptions to the plans that wait for the end of their period.

    A plan that is gone from the catalogue keeps waiting. The payment processor is not called.

    Args:
        db: The database, or its URL.
        older_than: Time since the change was due, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``applied`` changes.
    """
    return await run_aged(db, older_than, options, PendingPlans)


class PendingPlans(Sweep[UUID]):
    """Current subscriptions with a change that is due, in the order of their ids."""

    name = "apply_pending_plans"
    outcomes: ClassVar[tuple[str, ...]] = ("applied",)

    def __init__(self, tenant: UUID | None, older_than: timedelta) -> None:
        self._tenant = tenant
        self._older_than = older_than

    async def _due(self, uow: UnitOfWork, limit: int | None, *columns: Any) -> Select[Any]:
        due_by = instant_text(await cutoff(uow, self._older_than))
        effective_at: ColumnElement[str] = _text_of(_EFFECTIVE_AT)
        if uow.is_postgresql:
            effective_at = collate(effective_at, "C")  # by its bytes, as SQLite does
        due = (effective_at.like(_WRITTEN), effective_at <= literal(due_by, Text()))
        query: Any = select(*columns).join_from(
            TenantSubscription, BillingPlan, BillingPlan.code == _text_of(_CODE)
        )
        query = query.where(NOT_ENDED, *due, *own(TenantSubscription, self._tenant))
        rows: Select[Any] = query.order_by(TenantSubscription.id).limit(limit)
        return rows

    @override
    async def change(self, uow: UnitOfWork, after: UUID | None, limit: int) -> Batch[UUID]:
        query = await self._due(uow, limit, TenantSubscription, _TO)
        if after is not None:
            query = query.where(TenantSubscription.id > after)
        # The row alone: whoever holds the tenant locks it too before it decides.
        free = query.with_for_update(of=TenantSubscription, key_share=True, skip_locked=True)
        options = {"populate_existing": True}
        found = (await uow.session.execute(free, execution_options=options)).all()
        for row in found:
            _apply(row.TenantSubscription, row.to)
        await uow.session.flush()
        position = found[-1].TenantSubscription.id if len(found) == limit else None
        return Batch({"applied": len(found)}, position)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        rows = await count_rows(uow, await self._due(uow, limit, TenantSubscription.id))
        return Counted(rows, {"applied": rows})


def _text_of(key: str) -> ColumnElement[str]:
    """Return a key of the metadata as text."""
    text: ColumnElement[str] = TenantSubscription.metadata_json[str(key)].as_string()
    return text


def _apply(row: TenantSubscription, plan: UUID) -> None:
    """Apply the change that waits in a subscription."""
    seats = (row.metadata_json or {}).get(_SEATS)
    row.plan_id = plan
    if isinstance(seats, int):
        row.seat_count = seats
    row.metadata_json = without_pending(row.metadata_json)
